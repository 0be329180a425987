# Everything that a newcomer types. `make demo` needs Python 3.11 and pip, no GPU and no system package.
PYTHON ?= python3.11
STORAGE ?= $(CURDIR)/build/demo
VENV := $(CURDIR)/.venv
PY := $(VENV)/bin/python
BENCHMARKS := ranking synthesis
export RAY_USAGE_STATS_ENABLED := 0

.PHONY: install demo serve test bench

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --editable '.[test]'
	touch $@

demo: install
	rm -f $(STORAGE)/result.json
	$(PY) -m jobs.local -- ray job submit --working-dir . -- \
	    python -m jobs.pipeline --preset mini --set serving.port=0 --storage $(STORAGE)
	@$(PY) -c "import json, sys; print(json.dumps(json.load(open(sys.argv[1]))))" $(STORAGE)/result.json

serve: install
	@test -f $(STORAGE)/serve.yaml || { echo "there is no model yet: run make demo first" >&2; exit 2; }
	$(PY) -m jobs.local -- serve run $(STORAGE)/serve.yaml

test: install
	$(PY) -m pytest

bench: install
	@for name in $(BENCHMARKS); do $(PY) -m benchmarks.$$name || exit; done
