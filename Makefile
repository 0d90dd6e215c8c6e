# Apus: every command that a newcomer needs. `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help demo test check lint unit lab boot-artifact release packages packages-lab tools node attack programs debian base os bench bench-program clean
SHELL := /bin/sh

OUT := .out
SWIFT ?= swift
DEBUG_BUILD := $(SWIFT) build --scratch-path .build
# The node's programs: small, self-contained but for C libraries, which come from Debian 13 later.
NODE_BUILD = $(SWIFT) build --scratch-path .build-release -c release -Xswiftc -Osize -Xswiftc -gnone \
	$$(scripts/node-flags.sh)
STAGE := scripts/stage.sh
APUS := .build/debug/apus

VERSION ?= 0.1.0
SITE ?=
KEY ?=
# What a site adds to the reference OS: Debian packages, and folders of files to lay over its root.
PACKAGES ?=
OVERLAY ?=
SCENARIO ?= all
WAIT ?= yes
# The scenarios that guard the main line, the longest first, so that they end together; `make lab SCENARIO=all` runs
# every one.
MAIN_LINE := provision-pxe committed-slot-fails rollback-hang workload-container rollback-unhealthy upgrade-commit \
	rollback-panic attack-quick upgrade-corrupt

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{ printf "  make %-15s %s\n", $$1, $$2 }' Makefile

packages:
	@scripts/install-packages.sh build

packages-lab: packages
	@scripts/install-packages.sh lab

lint: ## check the format of every source file
	@$(SWIFT) format lint --strict --recursive --parallel Package.swift Sources Tests

unit: packages ## unit and integration tests against real parts
	@$(SWIFT) test --scratch-path .build --parallel

check: lint unit ## the quick loop: lint and unit tests

tools: packages
	@$(DEBUG_BUILD) --product apusd
	@$(DEBUG_BUILD) --product apus

node: packages
	@$(NODE_BUILD) --product apus-init
	@$(NODE_BUILD) --product apus-agent
	@mkdir -p $(OUT)/node
	@for program in apus-init apus-agent; do \
		strip -s -o $(OUT)/node/$$program .build-release/release/$$program; done

# The hostile program of the lab's containers; nothing of the OS has it.
attack: packages
	@$(NODE_BUILD) --product apus-attack
	@mkdir -p $(OUT)/lab
	@strip -s -o $(OUT)/lab/apus-attack .build-release/release/apus-attack

# The program of the benchmark's containers: static, so that its own start costs next to nothing.
bench-program: packages
	@mkdir -p $(OUT)/lab
	@cc -O2 -std=gnu11 -Wall -Wextra -Werror -static -s -o $(OUT)/lab/apus-bench scripts/apus-bench.c

programs: tools
	@$(MAKE) --no-print-directory node

# What the boot artifact and the OS have of Debian: mostly waiting, and so done beside compiling.
debian: packages
	@scripts/sysroot.sh
	@initramfs/build.sh --drivers-only
	@os/build.sh --debian-only --packages "$(PACKAGES)"

base: node
	@scripts/sysroot.sh
	@initramfs/build.sh --init $(OUT)/node/apus-init

os: node
	@scripts/sysroot.sh
	@os/build.sh --agent $(OUT)/node/apus-agent --version $(VERSION) --packages "$(PACKAGES)" \
		$(foreach folder,$(OVERLAY),--overlay $(folder))

boot-artifact: tools base ## the boot artifact; SITE=site.json builds a site's facts in
	@$(APUS) boot-artifact --base $(OUT)/base --tools $(OUT)/tools --output $(OUT)/apus-boot.efi \
		$(if $(SITE),--site $(SITE))

release: tools base os ## an OS release: VERSION=1.2.3 [SITE=site.json] [KEY=site.key] [PACKAGES="a b"] [OVERLAY=DIR]
	@$(APUS) release build --root $(OUT)/os/root.tar --version $(VERSION) --base $(OUT)/base \
		--tools $(OUT)/tools --output $(OUT)/releases/$(VERSION) $(if $(SITE),--site $(SITE)) \
		$(if $(KEY),--key $(KEY))

lab: packages-lab tools base os attack ## rehearse on virtual machines: SCENARIO="name name" or all
	@$(APUS) lab $(SCENARIO)

bench: packages-lab tools base os bench-program ## memory, disk and start times of a node, each against its bar
	@$(APUS) lab bench

demo: packages-lab ## from blank hardware to a rolled-back upgrade; WAIT=no ends at once
	@$(MAKE) --no-print-directory -j2 programs debian
	@$(MAKE) --no-print-directory base os
	@$(APUS) demo $(if $(filter no,$(WAIT)),--no-wait)

test: ## everything that guards the main line: what CI runs
	@$(STAGE) begin
	@status=0; { \
	$(STAGE) run 'install packages' $(MAKE) --no-print-directory packages-lab && \
	$(STAGE) run 'format lint' $(MAKE) --no-print-directory lint && \
	$(STAGE) run 'build the server, the tools and the tests' $(DEBUG_BUILD) --build-tests && \
	$(STAGE) run 'build the node programs, and fetch Debian' $(MAKE) --no-print-directory -j2 node debian && \
	$(STAGE) run 'build the boot artifact, the OS and the attacker' $(MAKE) --no-print-directory base os attack && \
	$(STAGE) run 'unit and integration tests' $(SWIFT) test --scratch-path .build --skip-build --parallel && \
	$(STAGE) run 'check what was built against real parts' scripts/check-artifacts.sh \
		--init $(OUT)/node/apus-init --agent $(OUT)/node/apus-agent && \
	$(STAGE) run 'lab scenarios' $(APUS) lab $(MAIN_LINE); } || status=$$?; \
	$(STAGE) table; exit $$status

clean: ## remove everything that was built
	@rm -rf .build .build-release $(OUT) .lab
