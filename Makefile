# Two commands do everything: `make demo` and `make test`. Both set up .venv first.

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do command -v $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.edgevid-ready
OUT := demo-output
SOURCES := edgevid targets calibration bench tests
comma := ,

.PHONY: help setup demo results test test-slow lint format clean

help:
	@echo "make demo       set up, then compile, verify, run and benchmark the demo network"
	@echo "make results    measure the shift's overhead at full size, for hours: bench/results"
	@echo "make test       set up, then lint, type-check and run the test suite"
	@echo "make test-slow  the same, with the full-size networks"
	@echo "make lint       ruff and mypy --strict"
	@echo "make format     let ruff format and mend the code"
	@echo "make clean      remove .venv and what the demo wrote"

setup: $(READY)

$(READY): pyproject.toml .ci/constraints.txt .ci/install-board-tools
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or later found: install python3.11 (on Debian: apt-get install python3.11 python3.11-venv)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || .ci/install-venv "$(PYTHON)"
	@.ci/install-board-tools
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint .ci/constraints.txt --editable '.[compile,openvino,tvm,tensorrt,test]'
	@touch $@

# Prints a command, then runs it.
define show
	@printf '\n\033[1m$$ edgevid %s\033[0m\n' '$(1)'
	@$(BIN)/edgevid $(1)
endef

demo: $(READY)
	@rm -rf $(OUT)
	@echo "1. Clips whose class is a motion, as H.264 files"
	$(call show,clips $(OUT)/clips --count 2)
	@echo; echo "2. What the shipped checkpoint holds"
	$(call show,inspect edgevid/demo/tsm.safetensors)
	@echo; echo "3. Compile it for this machine, and its twin without the shift"
	$(call show,compile edgevid/demo/tsm.safetensors --device host --output $(OUT)/tsm.bundle)
	$(call show,compile edgevid/demo/tsn.safetensors --device host --output $(OUT)/tsn.bundle)
	@echo; echo "4. Verify the bundle from disk"
	$(call show,verify $(OUT)/tsm.bundle)
	@echo; echo "5. Recognize a video, then all of them: with the shift, and without"
	$(call show,run $(OUT)/tsm.bundle $(OUT)/clips/grow/easy_0_0006.mp4)
	$(call show,run $(OUT)/tsm.bundle $(OUT)/clips --top 1)
	$(call show,run $(OUT)/tsn.bundle $(OUT)/clips --top 1)
	@echo; echo "6. What the shift costs: the network without it is the baseline"
	$(call show,bench $(OUT)/tsn.bundle $(OUT)/tsm.bundle --threads 1 --rounds 100 --output $(OUT)/bench.json)
	@echo; echo "7. int8: calibrate, quantize, and compare it with float on clips that are hard to tell"
	$(call show,clips $(OUT)/calibration --split hard --count 15 --seed 1)
	$(call show,compile edgevid/demo/tsm.safetensors --precision int8 --calibration $(OUT)/calibration --output $(OUT)/tsm-int8.bundle)
	$(call show,clips $(OUT)/hard --split hard --count 25 --seed 2)
	$(call show,compare $(OUT)/tsm.bundle $(OUT)/tsm-int8.bundle --data $(OUT)/hard --threads 1 --output $(OUT)/compare.json --html $(OUT)/compare.html)

	@echo; echo "8. Frame by frame: a shift from the past only, over a video of four motions in a row"
	$(call show,compile edgevid/demo/online.safetensors --device host --streaming --output $(OUT)/online.bundle)
	$(call show,clips $(OUT)/motions --sequence 4)
	$(call show,stream $(OUT)/online.bundle $(OUT)/motions/sequence_easy_0.mp4)
	@echo; echo "9. All figures on one page"
	$(call show,report $(OUT)/bench.json $(OUT)/compare.json --output $(OUT)/report.html)

# Two networks on all targets of this machine; what is finished is not measured again.
RESULTS := bench/results
SWEEP := --device host$(comma)host-tvm --precision fp32$(comma)bf16$(comma)int8 --plain --rounds 40 --processes 3
results: $(READY)
	$(call show,overhead --model tsm-resnet50 $(SWEEP) --output $(RESULTS)/tsm-resnet50)
	$(call show,overhead --model tsm-mobilenetv2 $(SWEEP) --output $(RESULTS)/tsm-mobilenetv2)
	$(call show,overhead --model tsm-resnet50 --batch 4 --proportions 0$(comma)1/4 --rounds 40 --processes 3 --output $(RESULTS)/tsm-resnet50-batch4)
	$(call show,report $(RESULTS)/tsm-resnet50 $(RESULTS)/tsm-mobilenetv2 $(RESULTS)/tsm-resnet50-batch4 --output $(RESULTS)/report.html --markdown $(RESULTS)/README.md)

lint: $(READY)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy

# Two processes at once, a file of tests in one of them.
test: lint
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile --no-loadscope-reorder

test-slow: lint
	$(BIN)/python -m pytest

format: $(READY)
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

clean:
	rm -rf $(VENV) $(OUT) build dist *.egg-info
