package metertest

import (
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// folders are the parts of the suite that are run, with the features that each
// is about. What wazero's module has beyond them is about what this module's
// decoder refuses: exceptions, threads, typed function references.
var folders = []struct {
	name     string
	features api.CoreFeatures
}{
	{"v1", api.CoreFeaturesV1},
	{"v2", api.CoreFeaturesV2},
	{"tail-call", api.CoreFeaturesV2 | experimental.CoreFeaturesTailCall},
	{"extended-const", api.CoreFeaturesV2 | experimental.CoreFeaturesExtendedConst},
}

// executed are the commands that each folder must have some of.
var executed = []string{"module", "assert_return", "assert_trap", "assert_invalid"}

// specConfig says how a script is run.
type specConfig struct {
	features    api.CoreFeatures
	interpreter bool
	interval    int
}

func (c specConfig) String() string {
	engine := "compiled"
	if c.interpreter {
		engine = "interpreted"
	}
	if c.interval == 0 {
		return engine
	}
	return fmt.Sprintf("%s by %d", engine, c.interval)
}

// TestSpecification runs the WebAssembly specification's own test suite, as it
// stands in wazero's module, with every module rewritten.
func TestSpecification(t *testing.T) {
	suite := suiteDir(t)
	for _, folder := range folders {
		t.Run(folder.name, func(t *testing.T) {
			dir := filepath.Join(suite, folder.name, "testdata")
			files, err := filepath.Glob(filepath.Join(dir, "*.json"))
			if err != nil || len(files) == 0 {
				t.Fatalf("no scripts in %s: %v", dir, err)
			}
			var mu sync.Mutex
			sums := map[specConfig]tally{}
			t.Run("scripts", func(t *testing.T) {
				for _, file := range files {
					commands, err := readScript(file)
					if err != nil {
						t.Fatal(err)
					}
					for _, config := range configs(folder.features) {
						name := strings.TrimSuffix(filepath.Base(file), ".json")
						t.Run(fmt.Sprintf("%s/%v", name, config), func(t *testing.T) {
							t.Parallel()
							s := newScript(t, suite, dir, commands, config)
							s.run(t)
							s.done["looks"] += s.engine.looks
							mu.Lock()
							defer mu.Unlock()
							if sums[config] == nil {
								sums[config] = tally{}
							}
							sums[config].add(s.done)
						})
					}
				}
			})
			for config, sum := range sums {
				checkTally(t, config, sum)
			}
		})
	}
}

func checkTally(t *testing.T, config specConfig, sum tally) {
	t.Helper()
	for _, kind := range executed {
		if sum[kind] == 0 {
			t.Errorf("%v: nothing of the type %s was executed", config, kind)
		}
	}
	if config.interval == tiny && sum["looks"] == 0 {
		t.Errorf("%v: nobody looked", config)
	}
	var line []string
	for _, kind := range slices.Sorted(maps.Keys(sum)) {
		line = append(line, fmt.Sprintf("%d %s", sum[kind], kind))
	}
	t.Logf("%v: %s", config, strings.Join(line, ", "))
}

// configs are the engines that a script is run in.
func configs(features api.CoreFeatures) []specConfig {
	all := []specConfig{
		{features: features, interval: tiny},
		{features: features, interpreter: true, interval: tiny},
		{features: features},
	}
	if testing.Short() || race {
		return all[:1]
	}
	return all
}

// suiteDir finds the suite in wazero's module, which is there wherever this
// package compiles.
func suiteDir(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "internal", "integration_test", "spectest")
}
