package report_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waxosuit/waxo/testscripts/report"
)

func example() *report.Report {
	r := &report.Report{Suite: "guest", Subject: "a.wasm", Took: 2 * time.Second, Checks: []report.Check{
		{Name: "z", Status: report.Pass, Took: 12345678},
		{
			Name: "b", Title: "It must be.", Rules: []string{"MOD-1"}, Status: report.Fail, Message: "is not, 100%: no",
			Log: "> be\nis not\x00 <&>\n", Path: "b.txtar", Line: 3,
		},
		{Name: "c", Status: report.Skip, Message: "no wings"},
		{Name: "d", Rules: []string{"NOBODY-7"}, Status: report.Fail, Message: "odd"},
	}}
	r.Settle()
	return r
}

func TestCounts(t *testing.T) {
	r := example()
	if r.Checks[0].Name != "b" || r.OK() || r.Count(report.Fail) != 2 || !slices.Equal(r.Broken(), []string{"MOD-1", "NOBODY-7"}) {
		t.Errorf("%+v", r)
	}
	if (&report.Report{}).OK() {
		t.Error("a report of nothing is fine")
	}
	skipped := &report.Report{Checks: []report.Check{{Status: report.Skip}}}
	if skipped.OK() {
		t.Error("a report of what was skipped is fine")
	}
}

func TestText(t *testing.T) {
	var b bytes.Buffer
	if err := example().Text(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"FAIL  b  [MOD-1]  0s\n      It must be.\n      MOD-1 MUST (guest", "docs/protocol.md, section ", "b.txtar:3\n        > be\n        is not",
		"skip  c  no wings\n", "ok    z  12ms\n", "a.wasm: 2 failed, 1 passed, 1 skipped in 2s\nrules broken: MOD-1, NOBODY-7\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestJSON(t *testing.T) {
	var b bytes.Buffer
	if err := example().JSON(&b); err != nil {
		t.Fatal(err)
	}
	var got struct {
		OK     bool
		Failed int
		Checks []struct {
			Name, Log string
			Rules     []struct{ ID, Level string }
		}
	}
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.OK || got.Failed != 2 || len(got.Checks) != 4 || got.Checks[0].Rules[0].Level != "MUST" || got.Checks[0].Log == "" {
		t.Errorf("%+v", got)
	}
}

func TestJUnit(t *testing.T) {
	var b bytes.Buffer
	if err := example().JUnit(&b); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Failures int `xml:"failures,attr"`
		Suite    struct {
			Cases []struct {
				Name    string `xml:"name,attr"`
				Failure *struct {
					Message string `xml:"message,attr"`
					Text    string `xml:",chardata"`
				} `xml:"failure"`
				Skipped *struct{} `xml:"skipped"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatalf("%v in %s", err, b.String())
	}
	c := got.Suite.Cases
	if got.Failures != 2 || len(c) != 4 || c[0].Failure == nil || !strings.Contains(c[0].Failure.Text, "is not? <&>") || c[1].Skipped == nil || c[3].Failure != nil {
		t.Errorf("%+v", got)
	}
}

func TestGitHub(t *testing.T) {
	var b bytes.Buffer
	if err := example().GitHub(&b); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "::error file=b.txtar,line=3,title=b::is not, 100%25: no%0A") || !strings.HasPrefix(lines[1], "::error title=d::odd%0A") {
		t.Errorf("%q", lines)
	}
}
