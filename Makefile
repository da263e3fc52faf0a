VERSION ?= $(shell git describe --tags --always --dirty)
LDFLAGS := -s -w -X github.com/prometheus/common/version.Version=$(VERSION)
SOAK    ?= 1h
LINT    := go tool -modfile=.ci/lint/go.mod golangci-lint

# With the race detector go checks unsafe pointers too. In SQLite, which is C
# translated to Go, that takes more than half of the time of tests that store
# much, and it is not ours to mend.
RACE := -race -gcflags='modernc.org/...=-d=checkptr=0'

# Work that is not committed, to see that `make test` changes nothing in it.
BEFORE := $(shell git diff | git hash-object --stdin)

.NOTPARALLEL:
.PHONY: help build run test tools tidy lint unit fuzz e2e soak unchanged bench pictures

help: ## print this list
	@sed -n 's/^\([a-z0-9]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 12

build: ## build the static binary ./alertchat
	CGO_ENABLED=0 go build -trimpath -ldflags "$(LDFLAGS)" -o alertchat ./cmd/alertchat

run: ## run the receiver against the built-in stand-in for Google Chat
	go run ./cmd/alertchat preview

test: tools tidy lint unit fuzz e2e unchanged ## all that CI runs

tools: ## install PostgreSQL and Chromium and build the Alertmanagers that the tests run
	.ci/postgres
	.ci/chromium
	.ci/alertmanager

tidy: ## check that go.mod and go.sum are tidy
	go mod tidy -diff
	go -C .ci/lint mod tidy -diff

lint: ## run golangci-lint
	$(LINT) run ./...

unit: ## run the tests, but for the end-to-end ones
	go test $(RACE) -shuffle=on $$(go list ./... | grep -v /receiver/e2e$$)

fuzz: ## run each fuzz target for FUZZTIME, 3s by default
	.ci/fuzz

# These tests wait more than they work.
e2e: ## run the end-to-end tests with a real Alertmanager
	go test $(RACE) -shuffle=on -count=1 -parallel=4 ./receiver/e2e

# Durations add up: a quarter of an hour more is for what comes before and after.
soak: ## kill everything in turn for SOAK, 1h by default, and see that nothing is lost
	SOAK=$(SOAK) go test $(RACE) -count=1 -v -run '^TestSoak$$' -timeout=$(SOAK)15m ./receiver/e2e

unchanged: # tidying, linting and goldens leave the files as they are
ifeq ($(CI),true)
	git diff --exit-code
else
	@test "$$(git diff | git hash-object --stdin)" = $(BEFORE) || { echo 'files have changed; see git diff'; exit 1; }
endif

bench: ## run the benchmarks
	go test -run '^$$' -bench . -benchmem ./...

pictures: tools ## make the pictures of the README anew
	go test -count=1 ./receiver/e2e -run '^TestPictures$$' -pictures=$(CURDIR)/docs/pictures
