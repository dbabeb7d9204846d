# The tasks of those who work on waxo. Go, make and git are all that they need;
# the linters come from the Go module proxy, as .ci/tools.mod pins them.

GO   ?= go
tool := $(GO) tool -modfile=.ci/tools.mod

# What git knows or would know: not the leavings of editors and builds.
files    = git ls-files -z --cached --others --exclude-standard --deduplicate
go_files = $(files) -- '*.go'

# What people read. Tests misspell on purpose, and lock files are not ours.
prose = '*.go' '*.md' '*.rs' '*.proto' '*.tmpl' ':!*_test.go' ':!**/testdata/**'

.DEFAULT_GOAL := help

## help: show this list
.PHONY: help
help:
	@sed -n 's/^## //p' Makefile | awk -F ': ' '{ printf "make %-10s %s\n", $$1, $$2 }'

## check: everything that CI asks of a change, but the tests
.PHONY: check
check:
	@sh .ci/unchanged $(MAKE) --no-print-directory format vet lint tidy rules generate

## test: the tests, in random order
.PHONY: test
test:
	$(GO) test -shuffle=on ./...

## race: the same with the race detector
.PHONY: race
race:
	$(GO) test -race -shuffle=on ./...

## bench: the benchmarks, and the table of README.md anew
.PHONY: bench
bench:
	@{ $(GO) test -run '^$$' -bench . -benchtime 200ms ./capability/... ./devhost/... ./emulators/... ./guest/... ./wapc/... && \
	( cd .ci/peers && $(GO) test -bench . ) && \
	$(GO) test -run '^$$' -bench . -benchtime 5x ./harness/bench; } 2>&1 | $(GO) run ./harness/bench/table -w README.md

## fmt: format the Go code and bring it up to the language's present idioms
.PHONY: fmt
fmt:
	$(go_files) | xargs -0 gofmt -s -w
	$(GO) fix ./...

## generate: write the generated files anew
.PHONY: generate
generate:
	$(GO) generate ./...

## cross: compile everything for the other systems
.PHONY: cross
cross: GOOS/darwin GOOS/windows

GOOS/%:
	GOOS=$* CGO_ENABLED=0 $(GO) build ./...

.PHONY: format
format:
	@unformatted=$$($(go_files) | xargs -0 gofmt -s -l) || exit; \
	[ -z "$$unformatted" ] || { printf 'make fmt would change:\n%s\n' "$$unformatted"; exit 1; }
	@$(GO) fix -diff ./... || { echo 'make fmt would change the above'; exit 1; }

.PHONY: vet
vet:
	$(GO) vet ./...

# A guest's side is compiled for WebAssembly alone.
ifneq ($(wildcard guest/go),)
vet: vet-guest
.PHONY: vet-guest
vet-guest:
	GOOS=wasip1 GOARCH=wasm $(GO) vet ./guest/go/...
endif

.PHONY: lint
lint:
	$(tool) staticcheck ./...
	@$(files) -- $(prose) | xargs -0 $(tool) misspell -error
	@dead=$$($(tool) deadcode -test ./...) || exit; \
	[ -z "$$dead" ] || { printf 'no program and no test reaches:\n%s\n' "$$dead"; exit 1; }

.PHONY: tidy
tidy:
	$(GO) mod tidy -diff

# The repository's own rules: who may import whom, the devcontainer.
.PHONY: rules
rules:
	$(GO) test .
