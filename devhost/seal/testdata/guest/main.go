//go:build wasip1

// The guest that the tests of package seal build, seal and call. Each
// operation uses a part of Go's runtime and library that WASI stands behind.
package main

import (
	crand "crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
	"unsafe"
)

//go:wasmimport wapc __guest_request
func guestRequest(operation, message unsafe.Pointer)

//go:wasmimport wapc __guest_response
func guestResponse(p unsafe.Pointer, n uint32)

//go:wasmimport wapc __guest_error
func guestError(p unsafe.Pointer, n uint32)

var operations = map[string]func(string) (string, error){
	"echo":       func(m string) (string, error) { return m, nil },
	"now":        now,
	"sleep":      sleep,
	"goroutines": goroutines,
	"timers":     timers,
	"map":        mapOrder,
	"rand":       random,
	"print":      func(m string) (string, error) { _, err := fmt.Print(m); return "", err },
	"eprint":     func(m string) (string, error) { _, err := fmt.Fprint(os.Stderr, m); return "", err },
	"panic":      func(m string) (string, error) { panic(m) },
	"recover":    recovers,
	"exit":       func(string) (string, error) { os.Exit(3); return "", nil },
	"open":       open,
	"stdin":      func(string) (string, error) { b, err := io.ReadAll(os.Stdin); return string(b), err },
	"process":    process,
	"deadlock":   func(string) (string, error) { select {} },
	"memory":     memory,
}

//go:wasmexport __guest_call
func guestCall(operationLen, messageLen uint32) uint32 {
	operation, message := make([]byte, operationLen), make([]byte, messageLen)
	guestRequest(unsafe.Pointer(unsafe.SliceData(operation)), unsafe.Pointer(unsafe.SliceData(message)))
	do, ok := operations[string(operation)]
	if !ok {
		do = func(string) (string, error) { return "", fmt.Errorf("unknown operation %q", operation) }
	}
	response, err := do(string(message))
	if err != nil {
		text := err.Error()
		guestError(unsafe.Pointer(unsafe.StringData(text)), uint32(len(text)))
		return 0
	}
	guestResponse(unsafe.Pointer(unsafe.StringData(response)), uint32(len(response)))
	return 1
}

func now(string) (string, error) {
	a := time.Now()
	b := time.Now()
	return fmt.Sprint(a.UTC().Year(), b.After(a), time.Since(a) < time.Second), nil
}

func sleep(string) (string, error) {
	start := time.Now()
	time.Sleep(72 * time.Hour)
	slept := time.Since(start)
	return fmt.Sprint(slept >= 72*time.Hour, slept < 73*time.Hour), nil
}

func goroutines(string) (string, error) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	sum := 0
	ch := make(chan int)
	for i := range 100 {
		wg.Go(func() {
			runtime.Gosched()
			time.Sleep(time.Duration(i) * time.Millisecond)
			mu.Lock()
			sum += i
			mu.Unlock()
			ch <- i
		})
	}
	last := -1
	for range 100 {
		if i := <-ch; i == last+1 {
			last = i // the sleeps put them in order
		}
	}
	wg.Wait()
	return fmt.Sprint(sum, last), nil
}

func timers(string) (string, error) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	timeout := time.After(3500 * time.Millisecond)
	for n := 0; ; n++ {
		select {
		case <-ticker.C:
		case <-timeout:
			return fmt.Sprint(n), nil
		}
	}
}

func mapOrder(string) (string, error) {
	m := make(map[string]int)
	for i := range 1000 {
		m[fmt.Sprint(i)] = i
	}
	order := strings.Join(slices.Collect(maps.Keys(m)), " ")
	for i := range 1000 {
		if m[fmt.Sprint(i)] != i {
			return "", errors.New("the map lost a key")
		}
	}
	return order, nil
}

func random(string) (string, error) {
	b := make([]byte, 16)
	if _, err := crand.Read(b); err != nil {
		return "", err
	}
	return fmt.Sprint(hex.EncodeToString(b), rand.Int63()), nil
}

func recovers(message string) (text string, err error) {
	defer func() { text = fmt.Sprint("recovered: ", recover()) }()
	panic(message)
}

func open(string) (string, error) {
	_, err := os.Open("/etc/passwd")
	_, statErr := os.Stat(".")
	writeErr := os.WriteFile("x", nil, 0o600)
	_, dirErr := os.ReadDir("/")
	var path *fs.PathError
	return fmt.Sprint(errors.As(err, &path), statErr != nil, writeErr != nil, dirErr != nil), nil
}

func process(string) (string, error) {
	host, err := os.Hostname()
	info, statErr := os.Stdout.Stat()
	if statErr != nil {
		return "", statErr
	}
	device := info.Mode()&fs.ModeCharDevice != 0
	return fmt.Sprint(len(os.Args), os.Environ(), os.Getenv("PATH") == "", host, err, device, os.Stdout.Sync()), nil
}

func memory(string) (string, error) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return fmt.Sprint(m.Sys), nil
}

func main() {}
