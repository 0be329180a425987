# Everything that a newcomer types. `make demo` needs Python 3.11 and pip, no GPU and no system package.
PYTHON ?= python3.11
STORAGE ?= $(CURDIR)/build/demo
LEXICON ?= top500
VENV := $(CURDIR)/.venv
PY := $(VENV)/bin/python
BENCHMARKS := ranking synthesis training tuning searchers serving
export RAY_USAGE_STATS_ENABLED := 0

.PHONY: install demo serve compare test bench

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
	@if test -f $(STORAGE)/serve.yaml; then $(PY) -m jobs.local -- serve run $(STORAGE)/serve.yaml; \
	else $(PY) -m jobs.local -- serve run serve.app:build model=shipped lexicon=$(LEXICON); fi

# On the demo's corpus: what is there already is not measured again.
compare: install
	@test -f $(STORAGE)/result.json || $(MAKE) demo
	@model=$$($(PY) -c "import json, sys; print(json.load(open(sys.argv[1]))['model'])" $(STORAGE)/result.json) && \
	    $(PY) -m jobs.local -- ray job submit --working-dir . -- python -m jobs.evaluate --preset mini --storage $(STORAGE) \
	    --recognisers shipped tuned=$$model ensemble=shipped+$$model pocketsphinx

test: install
	$(PY) -m pytest -n 2 --dist loadfile

bench: install
	@for name in $(BENCHMARKS); do $(PY) -m benchmarks.$$name || exit; done
