package report

import (
	"cmp"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/waxosuit/waxo/testscripts/rules"
)

// jsonReport is the form of a report in JSON. Fields may be added to it.
type jsonReport struct {
	Suite   string      `json:"suite"`
	Subject string      `json:"subject"`
	OK      bool        `json:"ok"`
	Passed  int         `json:"passed"`
	Failed  int         `json:"failed"`
	Warned  int         `json:"warned"`
	Skipped int         `json:"skipped"`
	TookNS  int64       `json:"took_ns"`
	Checks  []jsonCheck `json:"checks"`
}

type jsonCheck struct {
	Name    string     `json:"name"`
	Title   string     `json:"title,omitempty"`
	Status  Status     `json:"status"`
	Rules   []jsonRule `json:"rules,omitempty"`
	Message string     `json:"message,omitempty"`
	Log     string     `json:"log,omitempty"`
	Path    string     `json:"path,omitempty"`
	Line    int        `json:"line,omitempty"`
	TookNS  int64      `json:"took_ns"`
}

type jsonRule struct {
	ID      string      `json:"id"`
	Level   rules.Level `json:"level,omitempty"`
	Section string      `json:"section,omitempty"`
	Text    string      `json:"text,omitempty"`
}

// JSON writes a report as one JSON object.
func (r *Report) JSON(w io.Writer) error {
	out := jsonReport{
		Suite: r.Suite, Subject: r.Subject, OK: r.OK(), TookNS: int64(r.Took), Checks: []jsonCheck{},
		Passed: r.Count(Pass), Failed: r.Count(Fail), Warned: r.Count(Warn), Skipped: r.Count(Skip),
	}
	for _, c := range r.Checks {
		check := jsonCheck{
			Name: c.Name, Title: c.Title, Status: c.Status, Message: c.Message,
			Log: c.Log, Path: c.Path, Line: c.Line, TookNS: int64(c.Took),
		}
		for _, id := range c.Rules {
			rule, _ := rules.Protocol().Find(id)
			check.Rules = append(check.Rules, jsonRule{ID: id, Level: rule.Level, Section: rule.Section, Text: rule.Text})
		}
		out.Checks = append(out.Checks, check)
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(out)
}

// The elements of JUnit's format that its readers agree on.
type (
	junitSuites struct {
		XMLName  xml.Name   `xml:"testsuites"`
		Tests    int        `xml:"tests,attr"`
		Failures int        `xml:"failures,attr"`
		Skipped  int        `xml:"skipped,attr"`
		Time     string     `xml:"time,attr"`
		Suite    junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Time     string      `xml:"time,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		ClassName string       `xml:"classname,attr"`
		Name      string       `xml:"name,attr"`
		File      string       `xml:"file,attr,omitempty"`
		Time      string       `xml:"time,attr"`
		Failure   *junitDetail `xml:"failure"`
		Skipped   *junitDetail `xml:"skipped"`
		Out       string       `xml:"system-out,omitempty"`
	}
	junitDetail struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// JUnit writes a report in JUnit's XML. A warning counts as passed there, with
// its text as the case's output.
func (r *Report) JUnit(w io.Writer) error {
	suite := junitSuite{
		Name: r.Suite, Tests: len(r.Checks), Failures: r.Count(Fail), Skipped: r.Count(Skip), Time: seconds(r.Took.Seconds()),
	}
	for _, c := range r.Checks {
		var details strings.Builder
		c.details(&details)
		one := junitCase{ClassName: "waxo." + r.Suite, Name: c.Name, File: c.Path, Time: seconds(c.Took.Seconds())}
		switch c.Status {
		case Fail:
			one.Failure = &junitDetail{Message: legal(cmp.Or(c.Message, "failed")), Text: legal(details.String())}
		case Skip:
			one.Skipped = &junitDetail{Message: legal(c.Message)}
		case Warn:
			one.Out = legal(details.String())
		}
		suite.Cases = append(suite.Cases, one)
	}
	encoder := xml.NewEncoder(w)
	encoder.Indent("", "  ")
	io.WriteString(w, xml.Header)
	if err := encoder.Encode(junitSuites{
		Tests: suite.Tests, Failures: suite.Failures, Skipped: suite.Skipped, Time: suite.Time, Suite: suite,
	}); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func seconds(s float64) string { return fmt.Sprintf("%.3f", s) }

// legal leaves out what XML 1.0 cannot carry, and what steers terminals.
func legal(s string) string {
	return strings.Map(func(c rune) rune {
		if c == utf8.RuneError || c < ' ' && c != '\n' && c != '\t' || c >= 0x7f && c < 0xa0 || c == 0xfffe || c == 0xffff {
			return '?'
		}
		return c
	}, s)
}

// GitHub writes an annotation for each failure and warning, as commands of a
// GitHub Actions workflow. See "Workflow commands" in GitHub's documentation.
func (r *Report) GitHub(w io.Writer) error {
	var b strings.Builder
	for _, c := range r.Checks {
		kind := map[Status]string{Fail: "error", Warn: "warning"}[c.Status]
		if kind == "" {
			continue
		}
		var details strings.Builder
		c.details(&details)
		properties := "title=" + property(c.Name)
		if c.Path != "" {
			properties = "file=" + property(c.Path) + ",line=" + fmt.Sprint(max(c.Line, 1)) + "," + properties
		}
		fmt.Fprintf(&b, "::%s %s::%s\n", kind, properties, data(cmp.Or(c.Message, "failed")+"\n"+details.String()))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

var escapeData = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")

func data(s string) string { return escapeData.Replace(strings.TrimRight(s, "\n")) }

func property(s string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(data(s))
}
