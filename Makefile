# All of it runs on the Node that the project pins (node_modules/.bin/node), whatever the system has.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
ARGS ?=
ROWS ?=
PARTS ?=
MUTATE ?=

.PHONY: help setup build lint test bench demo leaks image clean
help:
	@echo "make demo    the main job on three nodes (ARGS=--keep leaves them up)"
	@echo "make leaks   what could put protected traffic in the clear, row by row; writes docs/leaks.md (ROWS='2 6a', MUTATE=all)"
	@echo "make test    every tier of tests that can run here (ARGS=--demand: a skip is a failure)"
	@echo "make bench   trapline beside Go plugins, and at scale; writes docs/benchmarks.md (PARTS='calls table forwarding agent')"
	@echo "make build   pkg/dist/trapline, trapline-agent, traplinectl"
	@echo "make lint    biome and tsc"
	@echo "make image   the container image, with buildah (BASE=debootstrap: without a registry)"
	@echo "make clean"

setup:
	@sh scripts/setup.sh

build: setup
	@tsc -b
	@node pkg/build.ts

lint: setup
	@biome ci .
	@tsc -b

test: build
	@sh scripts/kube-assets.sh > /dev/null || true
	@sh scripts/charon6.sh > /dev/null || true
	@node build/test/run-tiers.js $(ARGS)

bench: build
	@sh scripts/kube-assets.sh > /dev/null || true
	@npm run --silent bench -- $(PARTS)

demo: build
	@node build/test/lab/run.js demo.js $(ARGS)

leaks: build
	@sh scripts/kube-assets.sh > /dev/null || true
	@node build/test/lab/leaks/main.js $(ROWS) $(if $(MUTATE),--mutate=$(MUTATE))

image: build
	@sh scripts/image.sh $(ARGS)

clean:
	rm -rf build coverage pkg/dist src/cni/types/dist
