package project_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/waxosuit/waxo/testscripts/project"
)

// TestStand: a guest that others than scripts reach, in the environment that they are
// given.
func TestStand(t *testing.T) {
	guest, engine := theJobs(t)
	s, err := project.NewStand(&project.StandOptions{Engine: engine})
	must(t, err)
	must(t, s.Start(t.Context(), guest.Signed, guest.Manifest))
	if err := s.Start(t.Context(), guest.Signed, guest.Manifest); err == nil {
		t.Error("two guests run")
	}
	environment := s.Environment()
	for _, name := range []string{"WAXO_URL", "WAXO_KEYVALUE_URL", "WAXO_MESSAGING_URL", "WAXO_BLOBSTORE_URL", "AWS_ENDPOINT_URL"} {
		if !slices.ContainsFunc(environment, func(e string) bool { return strings.HasPrefix(e, name+"=") }) {
			t.Errorf("%s is missing from %q", name, environment)
		}
	}
	response, err := http.Get(s.URL())
	must(t, err)
	response.Body.Close()
	if response.StatusCode != 200 || !slices.Contains(environment, "WAXO_URL="+s.URL()) {
		t.Errorf("%s answers with %s", s.URL(), response.Status)
	}
	must(t, s.Close(context.Background()))
	must(t, s.Close(context.Background()))
	if response, err := http.Get("http://" + response.Request.URL.Host); err == nil {
		response.Body.Close()
		t.Error("it answers after Close")
	}
}

func TestStandRefuses(t *testing.T) {
	if _, err := project.NewStand(&project.StandOptions{Providers: "none"}); err == nil {
		t.Error("unknown providers are taken")
	}
	guest, engine := theJobs(t)
	s, err := project.NewStand(&project.StandOptions{Engine: engine, Providers: "container"})
	must(t, err)
	if err := s.Start(t.Context(), guest.Signed, guest.Manifest); err == nil || !strings.Contains(err.Error(), "starts no containers") {
		t.Errorf("without containers: %v", err)
	}
	if s.URL() != "" {
		t.Errorf("it is at %s", s.URL())
	}
	must(t, s.Close(context.Background()))
	lookup := func(name string) (string, bool) {
		return "nonsense", name == "WAXO_KEYVALUE_URL"
	}
	s, err = project.NewStand(&project.StandOptions{Engine: engine, Providers: "manifest", Lookup: lookup})
	must(t, err)
	if err := s.Start(t.Context(), guest.Signed, guest.Manifest); err == nil || !strings.Contains(err.Error(), "WAXO_KEYVALUE_URL") {
		t.Errorf("with a variable that makes no sense: %v", err)
	}
	must(t, s.Close(context.Background()))
}
