# Every command makes its own virtual environment and installs what it needs; nothing else has to be set up.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PROMPT ?= a red heart
# ONNX Runtime for the GPU where there is one.
RUNTIME := $(shell nvidia-smi >/dev/null 2>&1 && echo gpu || echo cpu)
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo up test check bench protos soak clean

demo: $(VENV)/.server
	$(BIN)/mezzotint demo "$(PROMPT)"

up: $(VENV)/.server
	$(BIN)/mezzotint up

# EXPORT=1 installs torch first (a large download on most machines), so that the tests of training and export run too.
test: $(VENV)/.test $(if $(EXPORT),$(VENV)/.export)
	$(BIN)/python -m pytest -m "not soak" $(TESTS)

soak: $(VENV)/.test
	$(BIN)/python -m pytest -m soak $(TESTS)

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	test ! -e $(VENV)/.export || $(BIN)/mypy -p training -p tests.training
	test ! -e $(VENV)/.export || $(BIN)/mypy services/mezzotint/export/*.py tests/export/*.py
	$(BIN)/python -m tools.stubs check
	$(BIN)/python -m tools.stubs image $(VENV)/protos.binpb
	$(BIN)/buf lint $(VENV)/protos.binpb --config buf.yaml

bench: $(VENV)/.test
	for question in first_picture queue queue_fairness step_batching open_inference model_quality; do \
		$(BIN)/python -m benchmarks.$$question --json || exit 1; \
	done

protos: $(VENV)/.test
	$(BIN)/python -m tools.stubs generate

clean:
	rm -rf $(VENV) out .mypy_cache .ruff_cache .pytest_cache

$(VENV)/.venv:
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.server: $(VENV)/.venv pyproject.toml constraints.txt
	$(INSTALL) --editable ".[server,$(RUNTIME)]"
	touch $@

$(VENV)/.test: $(VENV)/.server
	$(INSTALL) --editable ".[server,$(RUNTIME),test]"
	touch $@

$(VENV)/.export: $(VENV)/.test
	$(INSTALL) --editable ".[server,$(RUNTIME),test,export]"
	touch $@
