package main

import (
	"fmt"
	"strings"
	"testing"
)

// output is what the benchmarks of all rows print.
func output() string {
	metrics := make(map[string]string)
	for _, r := range rows {
		for _, m := range []string{r.value, r.limit, r.ratio} {
			if m != "" && !strings.Contains(metrics[r.benchmark], " "+m+"\t") {
				metrics[r.benchmark] += "1.234 " + m + "\t"
			}
		}
	}
	var b strings.Builder
	b.WriteString("goos: linux\npkg: example\n")
	for name, m := range metrics {
		fmt.Fprintf(&b, "%s-2   \t       3\t  99 ns/op\t%s\n", name, m)
	}
	b.WriteString("PASS\nok  \texample\t1.2s\n")
	return b.String()
}

func TestTable(t *testing.T) {
	results, err := parse(strings.NewReader(output()))
	if err != nil {
		t.Fatal(err)
	}
	table, err := render(results)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(table, "\n"); got != len(rows)+2 {
		t.Errorf("the table has %d lines, want %d", got, len(rows)+2)
	}
	if !strings.Contains(table, "| 1.23 µs | 1.23 µs net/http | 1.23 | 1.15 |") {
		t.Errorf("the first row is not as it should be:\n%s", table)
	}
	text, err := replace("a\n"+begin+"old\n"+end+"z\n", table)
	if err != nil {
		t.Fatal(err)
	}
	if want := "a\n" + begin + "\n" + table + "\n" + end + "z\n"; text != want {
		t.Errorf("got %q, want %q", text, want)
	}
	if again, err := replace(text, table); again != text || err != nil {
		t.Errorf("a second time gives %q, %v", again, err)
	}
}

func TestRefusals(t *testing.T) {
	for _, text := range []string{
		strings.Replace(output(), "BenchmarkEcho", "BenchmarkOther", 1),
		strings.Replace(output(), "x-native", "y-native", 1),
		"",
	} {
		results, err := parse(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := render(results); err == nil || !strings.Contains(err.Error(), "no result of Benchmark") {
			t.Errorf("a missing result: %v", err)
		}
	}
	for _, failed := range []string{"--- FAIL: BenchmarkEcho\n", "FAIL\texample\t1s\n"} {
		if _, err := parse(strings.NewReader(output() + failed)); err == nil {
			t.Errorf("%q passes", failed)
		}
	}
	if _, err := replace("no marks", "table"); err == nil {
		t.Error("a file without marks passes")
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{0: "0.00", 1.236: "1.24", 12.34: "12.3", 123.4: "123", 12345: "12345"} {
		if got := number(v); got != want {
			t.Errorf("number(%v) = %s, want %s", v, got, want)
		}
	}
}
