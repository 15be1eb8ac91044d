# `make help` lists the targets. Two builds in two folders, since a change of flags compiles
# everything anew: .build (debug, for unit tests) and .build-release (the executables).

RELEASE := .build-release/release
CULVERT := $(CURDIR)/$(RELEASE)/culvert
SWIFT_BUILD := swift build
SOURCES := Package.swift Sources Tests Fuzz

.PHONY: help demo check test bench lab-long fuzz format setup debug release unit scenarios end-to-end simulate \
	format-check

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

demo: setup release ## everything in network namespaces, seen with dig, curl and ping (ARGS=--exit: then end)
	@$(CULVERT) lab demo $(ARGS)

check: format-check debug unit ## the quick one: format, build, unit tests, tidy

test: setup format-check debug unit release simulate fuzz end-to-end ## every test there is
	@echo "make test: all passed"

bench: setup release ## side by side with peers (ONLY=tunnel, setup, dns, idle, nat, nat64, revocation)
	@$(CULVERT) lab bench $(ONLY)

lab-long: setup release ## every network fault at length, and a night of 30 minutes: 45 minutes
	@$(CULVERT) lab run --long
	@$(CULVERT) lab run --long overnight

fuzz: ## every parser and core against hostile bytes, for a bounded while (SECONDS_EACH=5)
	@scripts/fuzz $(or $(SECONDS_EACH),5)

format: ## rewrite the sources in the house format
	@swift format --in-place --parallel --recursive --configuration .swift-format $(SOURCES)

setup:
	@scripts/setup

format-check:
	@swift format lint --strict --parallel --recursive --configuration .swift-format $(SOURCES)

debug:
	@$(SWIFT_BUILD) --build-tests

unit:
	@scripts/run-tests --skip EndToEnd --skip PortalTests
	@scripts/run-tests --filter PortalTests

release:
	@$(SWIFT_BUILD) -c release --static-swift-stdlib --scratch-path .build-release --product culvert
	@$(SWIFT_BUILD) -c release --static-swift-stdlib --scratch-path .build-release --product culvert-simulate

simulate: release
	@$(RELEASE)/culvert-simulate $(if $(SEED),--seed $(SEED) --verbose,--seeds 50 --every-fault)
	@$(RELEASE)/culvert-simulate --mistake all
	@$(RELEASE)/culvert-simulate --connectivity --check docs/connectivity.md

end-to-end: debug release
	@CULVERT=$(CULVERT) scripts/run-tests --no-parallel --filter EndToEnd
