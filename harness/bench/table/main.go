// The command table reads the output of benchmarks from its input and writes
// what the table below names of it into a file, between two marks, as a table
// in Markdown. A row whose benchmark did not run is an error.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
)

const (
	begin = "<!-- benchmarks: written by make bench -->\n"
	end   = "<!-- end of benchmarks -->\n"
)

func main() {
	file := flag.String("w", "", "file to write the table into; default: print it")
	flag.Parse()
	if err := run(*file); err != nil {
		fmt.Fprintln(os.Stderr, "table:", err)
		os.Exit(1)
	}
}

func run(file string) error {
	results, err := parse(io.TeeReader(os.Stdin, os.Stderr))
	if err != nil {
		return err
	}
	text, err := render(results)
	if err != nil {
		return err
	}
	if file == "" {
		_, err := os.Stdout.WriteString(text)
		return err
	}
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	changed, err := replace(string(old), text)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, []byte(changed), 0o644)
}

// result holds the metrics of one benchmark by their units.
type result map[string]float64

var line = regexp.MustCompile(`^(Benchmark\S+?)(?:-\d+)?\s+\d+\s+(.*)$`)

// parse reads results in the format of the go command, and fails where a
// benchmark failed.
// https://go.dev/design/14313-benchmark-format
func parse(r io.Reader) (map[string]result, error) {
	results := make(map[string]result)
	s := bufio.NewScanner(r)
	for s.Scan() {
		if strings.HasPrefix(s.Text(), "FAIL") || strings.HasPrefix(s.Text(), "--- FAIL") {
			return nil, errors.New("a benchmark failed")
		}
		m := line.FindStringSubmatch(s.Text())
		if m == nil {
			continue
		}
		fields := strings.Fields(m[2])
		r := make(result)
		for i := 0; i+1 < len(fields); i += 2 {
			v, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return nil, fmt.Errorf("%q: %w", s.Text(), err)
			}
			r[fields[i+1]] = v
		}
		results[m[1]] = r
	}
	return results, s.Err()
}

// render writes the table.
func render(results map[string]result) (string, error) {
	var b strings.Builder
	b.WriteString("| what | waxo | beside | ratio | at most |\n|---|--:|--:|--:|--:|\n")
	var missing []string
	for _, r := range rows {
		found, ok := results[r.benchmark]
		cell := func(metric, unit string) string {
			if metric == "" {
				return ""
			}
			v, has := found[metric]
			if !has {
				ok = false
			}
			return strings.TrimSpace(number(v) + " " + unit)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", r.what, cell(r.value, r.unit), beside(cell(r.limit, r.unit), r.against), cell(r.ratio, ""), r.goal)
		if !ok {
			missing = append(missing, r.benchmark)
		}
	}
	if missing != nil {
		return "", fmt.Errorf("no result of %s", strings.Join(missing, ", "))
	}
	return b.String(), nil
}

func beside(value, what string) string {
	return strings.TrimSpace(value + " " + what)
}

// number prints three digits that count.
func number(v float64) string {
	switch {
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// replace puts the table between the marks.
func replace(text, table string) (string, error) {
	before, rest, ok := strings.Cut(text, begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return "", fmt.Errorf("there is no place for the table: %q and %q", strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	return before + begin + "\n" + table + "\n" + end + after, nil
}
