package main

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/keyvaluepb"
	"github.com/waxosuit/waxo/capability/plugin"
)

var id = capability.BindingID{Guest: "MGUEST", Name: capability.DefaultBinding}

// bind binds the guest of the tests with a config.
func bind(t *testing.T, p capability.Provider, config map[string]string) {
	t.Helper()
	if err := p.Bind(t.Context(), capability.Binding{BindingID: id, Config: config}, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// call performs an operation and decodes its answer.
func call(t *testing.T, p capability.Provider, operation string, request, answer message) error {
	t.Helper()
	payload, err := p.Call(t.Context(), capability.Call{BindingID: id, Operation: operation, Payload: request.AppendProto(nil)})
	if err != nil {
		return err
	}
	return answer.UnmarshalProto(payload)
}

func add(t *testing.T, p capability.Provider, key string, value, want int32) {
	t.Helper()
	var answer keyvaluepb.AddResponse
	if err := call(t, p, capability.OpAdd, &keyvaluepb.AddRequest{Key: key, Value: value}, &answer); err != nil || answer.Value != want {
		t.Errorf("the sum is %d, %v, want %d", answer.Value, err, want)
	}
}

func get(t *testing.T, p capability.Provider, key, want string) {
	t.Helper()
	var answer keyvaluepb.GetResponse
	if err := call(t, p, capability.OpGet, &keyvaluepb.GetRequest{Key: key}, &answer); err != nil || answer.Value != want || answer.Exists != (want != "") {
		t.Errorf("%s is %+v, %v, want %q", key, answer, err, want)
	}
}

func wantCode(t *testing.T, err error, want capability.Code) {
	t.Helper()
	if !errors.Is(err, &capability.Error{Code: want}) {
		t.Errorf("the error is %v, want one of the code %s", err, want)
	}
}

func TestOperations(t *testing.T) {
	p := newProvider()
	bind(t, p, map[string]string{"max_keys": "2"})
	get(t, p, "a", "")
	add(t, p, "a", 2, 2)
	add(t, p, "a", -5, -3)
	get(t, p, "a", "-3")
	var answer keyvaluepb.SetResponse
	if err := call(t, p, capability.OpSet, &keyvaluepb.SetRequest{Key: "b", Value: "text"}, &answer); err != nil || answer.Value != "text" {
		t.Errorf("Set answers %+v, %v", answer, err)
	}
	wantCode(t, call(t, p, capability.OpAdd, &keyvaluepb.AddRequest{Key: "b", Value: 1}, &answer), capability.CodeWrongKind)
	wantCode(t, call(t, p, capability.OpSet, &keyvaluepb.SetRequest{Key: "c"}, &answer), capability.CodeTooLarge)
	wantCode(t, call(t, p, capability.OpSet, &keyvaluepb.SetRequest{Key: "b", ExpiresS: -1}, &answer), capability.CodeInvalid)
	add(t, p, "a", 1<<31-1, 1<<31-4)
	wantCode(t, call(t, p, capability.OpAdd, &keyvaluepb.AddRequest{Key: "a", Value: 4}, &answer), capability.CodeOutOfRange)
	if err := call(t, p, capability.OpDel, &keyvaluepb.DelRequest{Key: "b"}, &answer); err != nil {
		t.Error(err)
	}
	get(t, p, "b", "")
	wantCode(t, call(t, p, "Push", &keyvaluepb.DelRequest{}, &answer), capability.CodeUnsupported)
	_, err := p.Call(t.Context(), capability.Call{BindingID: id, Operation: capability.OpGet, Payload: []byte("\xff")})
	wantCode(t, err, capability.CodeInvalid)
}

func TestConfig(t *testing.T) {
	for key, value := range map[string]string{"max_keys": "many", "url": "redis://127.0.0.1"} {
		err := newProvider().Bind(t.Context(), capability.Binding{BindingID: id, Config: map[string]string{key: value}}, nil)
		wantCode(t, err, capability.CodeInvalid)
	}
}

func TestBindings(t *testing.T) {
	p := newProvider()
	bind(t, p, nil)
	wantCode(t, p.Bind(t.Context(), capability.Binding{BindingID: id}, nil), capability.CodeConflict)
	add(t, p, "a", 1, 1)
	if err := p.Unbind(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	var answer keyvaluepb.GetResponse
	wantCode(t, call(t, p, capability.OpGet, &keyvaluepb.GetRequest{Key: "a"}, &answer), capability.CodeUnavailable)
}

// TestPlugin builds the plugin and runs it as a host does.
func TestPlugin(t *testing.T) {
	file := filepath.Join(t.TempDir(), "plugin")
	if runtime.GOOS == "windows" {
		file += ".exe"
	}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", file, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p, err := plugin.Open(t.Context(), file, &plugin.Options{Development: true, StartTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	bind(t, p, map[string]string{"max_keys": "1"})
	if got := p.Describe().Capability; got != capability.KeyValue {
		t.Errorf("it offers %s", got)
	}
	add(t, p, "a", 41, 41)
	add(t, p, "a", 1, 42)
	var answer keyvaluepb.SetResponse
	wantCode(t, call(t, p, capability.OpSet, &keyvaluepb.SetRequest{Key: "b"}, &answer), capability.CodeTooLarge)
}
