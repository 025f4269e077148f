# On a fresh Debian 12 or 13, as root, `make demo` and `make test` do everything, installs included.

PYTHON := .venv/bin/python
# A killed make takes what it runs with it, which then cleans up.
ALIVE := setpriv --pdeathsig TERM
# One seed for all workers, or what a test makes from a set has another name in each.
PYTEST := $(ALIVE) env PYTHONHASHSEED=0 $(PYTHON) -m pytest -q
# What reads bytes that others wrote, and how much of each property `make fuzz` tries.
READERS := tests/trust/test_fuzz.py tests/trust/test_policy.py tests/trust/test_statement.py \
	tests/trust/test_revocation.py tests/tlog
CASES := 20000

help:
	@echo 'make demo         the main job, told as a story, on a Debian root on a loop device'
	@echo 'make test         linters, types, unit, crash and Btrfs tests; under 9 minutes'
	@echo 'make check        the linters and the types alone'
	@echo 'make fuzz         20,000 edited or random inputs to each parser of the trust layer;'
	@echo '                  CASES=N: that many'
	@echo 'make machines     build images of Debian, and boot the trials that every CI run boots'
	@echo 'make integration  everything on real filesystems, the slow tests too'
	@echo 'make integration-zfs  the same on a real pool, in machines with ZFS'
	@echo 'make bench        measure, and write that part of integration/RESULTS.md'
	@echo 'make parity       the contract on Btrfs and on a real pool, and write that table there;'
	@echo '                  REPORTS="a.xml b.xml": and the scenarios of these JUnit reports'
	@echo 'make claims       what is claimed, and what shows it'
	@echo 'make deb          the Debian packages, into dist/'
	@echo 'make ci           what .ci/run runs: make demo, make test, make machines'
	@echo 'make clean        remove what was made in this directory'

ready:
	@integration/prepare.sh

demo: ready
	@$(ALIVE) $(PYTHON) -m integration.demo

test: ready
	@$(PYTEST) -n 2 --dist loadfile --durations 10 -m 'not slow and not machine' </dev/null

fuzz: ready
	@$(PYTEST) -n 2 -p tests.fuzzing --cases $(CASES) -m hypothesis $(READERS) </dev/null

images: ready
	@$(ALIVE) $(PYTHON) -m integration.vm.images

images-zfs: ready
	@$(ALIVE) $(PYTHON) -m integration.vm.zfs

machines: images images-zfs
	@$(PYTEST) -n 2 --dist loadgroup -m starred integration </dev/null

check: ready
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy

integration: ready
	@$(PYTEST) -n 2 --dist loadfile --durations 10 -m 'not zfs' integration </dev/null

integration-zfs: ready
	@$(PYTEST) -n 2 --dist loadgroup --durations 10 -m zfs integration </dev/null

bench: ready
	@$(ALIVE) $(PYTHON) -m integration.bench

parity: ready
	@$(ALIVE) $(PYTHON) -m integration.parity $(addprefix --report ,$(REPORTS))

claims: ready
	@$(PYTHON) -m integration.claims

deb: ready
	@$(PYTHON) contrib/debian/build.py

ci:
	@integration/ci.sh

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help ready demo test fuzz images images-zfs machines check integration integration-zfs bench parity claims deb ci clean
