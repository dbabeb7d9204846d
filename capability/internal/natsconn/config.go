package natsconn

import (
	"slices"
	"strconv"
	"strings"
)

// Known is an error of CodeInvalid where the configuration of a capability has a
// key that it does not know.
func Known(capability string, config map[string]string, keys ...string) error {
	for key := range config {
		if !slices.Contains(keys, key) {
			last := len(keys) - 1
			return Invalid("%s has no configuration key %q: there are %s and %s", capability, key, strings.Join(keys[:last], ", "), keys[last])
		}
	}
	return nil
}

// Number is the number at a key, from least to most; without the key, the default.
func Number(config map[string]string, key string, otherwise, least, most int64) (int64, error) {
	text, ok := config[key]
	if !ok {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < least || n > most {
		return 0, Invalid("%s is %s: give a number from %d to %d", key, Quote(text), least, most)
	}
	return n, nil
}

// List is what stands at a key with commas between, without the space around it.
func List(config map[string]string, key string) []string {
	var list []string
	for item := range strings.SplitSeq(config[key], ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}

// Quote quotes a name from a guest, which may be long and hold anything.
func Quote(name string) string {
	const limit = 100
	if len(name) > limit {
		return strconv.Quote(strings.ToValidUTF8(name[:limit], "")) + "..."
	}
	return strconv.Quote(name)
}
