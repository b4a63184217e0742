# All of it runs on the Node that the project pins (node_modules/.bin/node), whatever the system has.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
FILE ?=
ARGS ?=
ROWS ?=
PARTS ?=
MUTATE ?=

.PHONY: help npm setup unit lint format build test bench demo leaks hostile image clean
# `setup` and `npm` both install npm packages.
.NOTPARALLEL:
help:
	@echo "With npm alone, without root (npm run has the same under the same names):"
	@echo "make unit    the unit tests, from source (FILE=test/cni/add.test.ts: one file, of any tier)"
	@echo "make lint    biome and tsc"
	@echo "make format  biome, which puts right what it can"
	@echo "make build   pkg/dist/trapline, trapline-agent, traplinectl"
	@echo "make hostile what others can send, row by row, each with its guard taken out; writes docs/hostile.md (ROWS='1a 4b')"
	@echo "make clean"
	@echo "As root on Debian or Ubuntu; each installs the packages that it misses:"
	@echo "make setup   these packages, and nothing more"
	@echo "make test    every tier of tests that can run here (ARGS=--demand: a skip is a failure; ARGS=netns: one tier)"
	@echo "make demo    the main job on three nodes (ARGS=--keep leaves them up)"
	@echo "make leaks   what could put protected traffic in the clear, row by row; writes docs/leaks.md (ROWS='2 6a', MUTATE=all)"
	@echo "make bench   trapline beside Go plugins, and at scale; writes docs/benchmarks.md (PARTS='calls table forwarding agent')"
	@echo "make image   the container image, with buildah (BASE=debootstrap: without a registry)"

npm:
	@sh scripts/setup-npm.sh

setup:
	@sh scripts/setup-debian.sh
	@sh scripts/setup-npm.sh

unit: npm
	@$(if $(FILE),ava $(FILE),npm run --silent unit)

lint format build: npm
	@npm run --silent $@

test: setup build
	@sh scripts/kube-assets.sh > /dev/null || true
	@sh scripts/charon6.sh > /dev/null || true
	@node test/run-tiers.ts $(ARGS)

hostile: npm
	@node --conditions=source test/hostile/main.ts $(ROWS)

demo: setup build
	@node build/test/lab/run.js demo.js $(ARGS)

leaks: setup build
	@sh scripts/kube-assets.sh > /dev/null || true
	@node build/test/lab/leaks/main.js $(ROWS) $(if $(MUTATE),--mutate=$(MUTATE))

bench: setup build
	@sh scripts/kube-assets.sh > /dev/null || true
	@node pkg/build.ts bench-floor
	@node build/test/bench/bench.js $(PARTS)

image: setup build
	@sh scripts/image.sh $(ARGS)

clean:
	rm -rf build coverage pkg/dist src/cni/types/dist
