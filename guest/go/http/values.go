package http

import "strings"

// Values are the parameters of a query or the fields of a form: each name with
// its values in the order in which they came.
type Values map[string][]string

// Get returns the first value of a name, "" if there is none.
func (v Values) Get(name string) string {
	if values := v[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// Has reports whether there is a name.
func (v Values) Has(name string) bool {
	_, ok := v[name]
	return ok
}

// parseValues reads what application/x-www-form-urlencoded encodes. What is
// malformed is left out and makes ok false.
func parseValues(s string) (v Values, ok bool) {
	v, ok = make(Values), true
	for s != "" {
		var pair string
		pair, s, _ = strings.Cut(s, "&")
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, nameOK := unescape(name, true)
		value, valueOK := unescape(value, true)
		if !nameOK || !valueOK || strings.Contains(pair, ";") {
			ok = false
			continue
		}
		v[name] = append(v[name], value)
	}
	return v, ok
}

// unescape decodes percent-encoding, and plus signs as spaces where asked.
func unescape(s string, plus bool) (decoded string, ok bool) {
	if !strings.Contains(s, "%") && !(plus && strings.Contains(s, "+")) {
		return s, true
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '%':
			if i+2 >= len(s) {
				return "", false
			}
			high, low := hexDigit(s[i+1]), hexDigit(s[i+2])
			if high < 0 || low < 0 {
				return "", false
			}
			b = append(b, byte(high<<4|low))
			i += 2
		case c == '+' && plus:
			b = append(b, ' ')
		default:
			b = append(b, c)
		}
	}
	return string(b), true
}

func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
