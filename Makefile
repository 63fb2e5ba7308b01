# The door; CMake is the build. PRESET=debug|asan|tsan|fuzz chooses another one, PREFIX= where `make install` puts it.
PRESET ?= release
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
B = build/$(PRESET)

.PHONY: all configure setup setup-test demo test test-long test-targets bench bench-peers fuzz install format clean

all: configure
	@cmake --build $(B) -j $(JOBS)

configure: setup
	@mkdir -p $(B)
	@cmake --preset $(PRESET) -DCMAKE_INSTALL_PREFIX=$(PREFIX) >$(B)/configure.log 2>&1 || { cat $(B)/configure.log; exit 1; }

setup:
	@scripts/setup.sh

setup-test: setup
	@scripts/setup.sh test || echo "tests that need these packages will be skipped"

demo: configure
	@cmake --build $(B) -j $(JOBS) --target rondo rondo_llvm
	@RONDO=$(B)/bin/rondo scripts/demo.sh

test: setup-test all
	ctest --test-dir $(B) -LE long -j $(JOBS) --output-on-failure --no-tests=error

test-long: setup-test all
	ctest --test-dir $(B) -j $(JOBS) --output-on-failure --no-tests=error

# Emitted C on every target there is, and under every tool that looks at C.
test-targets: all
	@scripts/setup.sh targets || echo "tests that need these packages will be skipped"
	ctest --test-dir $(B) -L targets -j $(JOBS) --output-on-failure --no-tests=error

# The workloads of bench/ through the C API, a JSON object a line. MATCH= patterns of names, THREADS=, SECONDS_EACH=.
bench: all
	@cmake --build $(B) --target bench
	@RONDO_STD=std $(B)/bin/bench --threads $(or $(THREADS),1) --seconds $(or $(SECONDS_EACH),0.5) bench $(MATCH)

# The same in turns with other software, and the tables of docs/performance.md; PEERS_PYTHON= a Python with the rivals' packages.
bench-peers: all
	@scripts/setup.sh peers || echo "rivals that need these packages will be left out"
	@cmake --preset $(PRESET) >/dev/null
	@cmake --build $(B) --target bench
	@BENCH=$(B)/bin/bench bench/peers.sh $(MATCH)

# Mutated inputs under sanitizers; RUNS= inputs for each target (100000).
fuzz:
	@$(MAKE) --no-print-directory PRESET=fuzz all
	@BUILD=build/fuzz scripts/fuzz.sh

install: all
	cmake --install $(B)

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

clean:
	rm -rf build
