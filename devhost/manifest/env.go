package manifest

import (
	"errors"
	"maps"
	"slices"
	"strings"
)

// ApplyEnv overrides what the environment names: WAXO_VERSION, WAXO_DEV_PORT,
// WAXO_LIMITS_MEMORY, WAXO_LIMITS_CALL_TIMEOUT, WAXO_LIMITS_INSTANCES,
// WAXO_LIMITS_TOTAL_MEMORY, WAXO_LIMITS_QUEUE, WAXO_LIMITS_REQUEST_BODY,
// WAXO_LIMITS_RESPONSE_BODY. lookup is os.LookupEnv, or like it. Its error joins
// an *Error for each mistake, and the manifest is then as it was.
func (m *Manifest) ApplyEnv(lookup func(name string) (string, bool)) error {
	changed := *m
	var errs []*Error
	override(&errs, lookup, "WAXO_VERSION", &changed.Version, func(s string) (string, error) { return s, checkVersion(s) })
	override(&errs, lookup, "WAXO_DEV_PORT", &changed.Dev.Port, parseInt(0, maxPort))
	override(&errs, lookup, "WAXO_LIMITS_MEMORY", &changed.Limits.Memory, parseMemory)
	override(&errs, lookup, "WAXO_LIMITS_CALL_TIMEOUT", &changed.Limits.CallTimeout, parseTimeout)
	override(&errs, lookup, "WAXO_LIMITS_INSTANCES", &changed.Limits.Instances, parseInt(1, maxInstance))
	override(&errs, lookup, "WAXO_LIMITS_TOTAL_MEMORY", &changed.Limits.TotalMemory, parseTotal)
	override(&errs, lookup, "WAXO_LIMITS_QUEUE", &changed.Limits.Queue, parseInt(0, maxQueue))
	override(&errs, lookup, "WAXO_LIMITS_REQUEST_BODY", &changed.Limits.RequestBody, parseBody)
	override(&errs, lookup, "WAXO_LIMITS_RESPONSE_BODY", &changed.Limits.ResponseBody, parseBody)
	if len(errs) > 0 {
		return joinErrors(errs)
	}
	*m = changed
	return nil
}

func override[T any](errs *[]*Error, lookup func(string) (string, bool), name string, target *T, parse func(string) (T, error)) {
	text, ok := lookup(name)
	if !ok || text == "" {
		return
	}
	value, err := parse(text)
	if err != nil {
		*errs = append(*errs, &Error{Key: name, Message: err.Error()})
		return
	}
	*target = value
}

// Expand returns the binding with each ${VAR} in its URL and its Config replaced
// by what lookup says; $$ stands for a single dollar sign, as does one that
// nothing of the kind follows. Its error joins an *Error for each variable that
// is missing. The result may hold secrets: it is for the provider alone.
func (b Bind) Expand(lookup func(name string) (string, bool)) (Bind, error) {
	at := &reader{}
	if b.at != nil {
		at.file, at.where = b.at.file, b.at.where
	}
	replace := func(key, text string) string {
		text, err := expand(text, func(name string) string {
			value, ok := lookup(name)
			if !ok {
				at.fail(key, "the environment variable %s is not set", name)
			}
			return value
		})
		if err != nil {
			at.fail(key, "%v", err)
		}
		return text
	}
	urlKey := join(b.key, "url")
	b.URL = replace(urlKey, b.URL)
	config := make(map[string]string, len(b.Config))
	for _, key := range sortedKeys(b.Config) {
		config[key] = replace(join(join(b.key, "config"), key), b.Config[key])
	}
	if len(config) > 0 {
		b.Config = config
	}
	if b.URL != "" && len(at.errs) == 0 && !isAddress(b.URL) {
		at.fail(urlKey, "with its variables filled in, the url is not an address such as redis://127.0.0.1:6379/0")
	}
	return b, at.err()
}

// expand replaces the variables in text, and each $$ by a single dollar sign.
func expand(text string, value func(name string) string) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "$")
		b.WriteString(before)
		switch {
		case !found:
			return b.String(), nil
		case strings.HasPrefix(rest, "{"):
			name, after, closed := strings.Cut(rest[1:], "}")
			if !closed || !isVariable(name) {
				return "", errors.New("a variable must be written ${NAME}, of letters, digits and '_'; $$ stands for a single dollar sign")
			}
			b.WriteString(value(name))
			rest = after
		default:
			b.WriteByte('$')
			rest = strings.TrimPrefix(rest, "$")
		}
		text = rest
	}
}

func isVariable(name string) bool {
	return isWord(name) && !strings.ContainsAny(name, "-.") && (name[0] < '0' || name[0] > '9')
}

// checkVariables refuses what looks like a variable and is none.
func checkVariables(text string) error {
	_, err := expand(text, func(string) string { return "" })
	return err
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
