# Every target works from a fresh clone: those that need the environment depend on it.

.DEFAULT_GOAL := help

# Google's PCI vendor also makes the network card and disks of its cloud machines, so a TPU is told
# by its device; and /dev/accel without a number is the kernel's directory of other makers' NPUs.
ifndef ACCEL
ACCEL := $(shell \
	if ls /dev/accel[0-9]* >/dev/null 2>&1 || \
	   grep -qsE '^PCI_ID=1AE0:(0027|0056|005E|0062|0063|006F|0076)' /sys/bus/pci/devices/*/uevent; \
	then echo tpu; \
	elif [ -e /dev/nvidia0 ] || nvidia-smi -L >/dev/null 2>&1; then echo gpu; \
	else echo cpu; fi)
endif
ifeq ($(filter cpu gpu tpu gpu-xla tpu-xla,$(ACCEL)),)
$(error ACCEL must be cpu, gpu, tpu, gpu-xla or tpu-xla, not '$(ACCEL)')
endif

PYTHON := .venv/bin/python
EFFBENCH := .venv/bin/effbench
# One stamp per ACCEL, because the builds of TensorFlow overwrite one another; each is written last,
# so that a set-up that was killed starts over.
STACK := .venv/.stack-$(ACCEL)
SETUP := .venv/.setup-$(ACCEL)
# What drives a device by XLA is beside the CPU build of TensorFlow.
LISTS := $(if $(filter %-xla,$(ACCEL)),requirements/cpu.txt) requirements/$(ACCEL).txt
# The compiler of `effbench plan`, 225 MB to download, for those that need it. The sets for a TPU
# have a libtpu of their own, and no plan.
PLAN := $(if $(filter tpu%,$(ACCEL)),,.venv/.plan-$(ACCEL))

.PHONY: help
help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(SETUP)  ## the whole main job on small data, no download: V2's nine variants, then the answer
	$(EFFBENCH) sweep --variants v2 --weights none --data digits --image-size 32 --parallel 2 \
	  --set standardize=true --set l2_from=0.1 --set l2_values=13 --results .demo
	$(EFFBENCH) report --results .demo
	@echo
	@$(EFFBENCH) report --results .demo --answer

.PHONY: test
test: $(SETUP) $(PLAN)  ## the tests
	$(PYTHON) -m pytest -q -n auto --dist loadfile --no-loadscope-reorder $(ARGS)

.PHONY: test-slow
test-slow: $(SETUP) $(PLAN)  ## the tests on real data, and B0's training step compiled for a TPU
	$(PYTHON) -m pytest -q -m slow --timeout 0 $(ARGS)

.PHONY: test-slurm
test-slurm: $(SETUP)  ## a sweep on the SLURM of this machine: one job requeued, one cancelled; minutes
	@command -v sinfo >/dev/null || { echo 'no SLURM here: sinfo is not on the path' >&2; exit 1; }
	$(PYTHON) -m pip install --quiet 'submitit>=1.5.4'
	$(PYTHON) -m pytest -q -m slurm --timeout 0 $(ARGS)

.PHONY: test-ray
test-ray: $(SETUP)  ## a sweep on three Ray nodes of this machine; a node and the driver are killed; minutes
	$(PYTHON) -m pip install --quiet 'ray==2.60.0'
	$(PYTHON) -m pytest -q -m ray --timeout 0 $(ARGS)

.PHONY: test-s3
test-s3: $(SETUP)  ## results at a URL of S3, on a server of this machine
	$(PYTHON) -m pip install --quiet 'moto[server]>=5' s3fs
	$(PYTHON) -m pytest -q -m s3 --timeout 0 tests/test_remote_folder.py $(ARGS)

.PHONY: test-kill
test-kill: $(SETUP)  ## kill workers at random for five minutes: no run lost, none twice
	$(PYTHON) tests/support/kill_workers.py $(or $(ARGS),5 8)

.PHONY: lint
lint: $(SETUP)  ## formatting, lint rules and types
	.venv/bin/ruff format --check
	.venv/bin/ruff check
	$(PYTHON) -m mypy effbench

.PHONY: format
format: $(SETUP)  ## rewrite the code in the common format
	.venv/bin/ruff check --fix-only
	.venv/bin/ruff format

.PHONY: sweep
sweep: $(SETUP)  ## train and score the variants: make sweep ARGS="--variants B0,T"
	$(EFFBENCH) sweep $(ARGS)

.PHONY: report
report: $(SETUP)  ## print the table of results/, as Markdown or as ARGS says
	$(EFFBENCH) report $(or $(ARGS),--markdown)

.PHONY: tables
tables: $(SETUP)  ## write the tables and plots of results/ and its README again
	$(PYTHON) tests/support/result_pages.py

.PHONY: scaling
scaling: $(SETUP)  ## simulate sweeps on up to 512 workers, and write it into results/README.md
	$(PYTHON) -m pip install --quiet simpy
	$(PYTHON) tests/support/scaling.py $(ARGS)

.PHONY: certainty
certainty: $(SETUP)  ## simulate how often intervals hold the truth, and write it into results/README.md
	$(PYTHON) tests/support/certainty.py

# A head alone on every generation; whole networks, whose steps take minutes each to compile, on the one
# whose compiler is strictest, and `finetune` on another. (A plan with what does not fit ends with exit
# code 1.)
WHOLE := --batch-per-replica 16 --tpu-type v3-8
PLANS := '--recipe case-study' '--recipe finetune $(WHOLE),v5e-8' \
	'--recipe finetune-adabelief,progressive,scratch $(WHOLE)'

.PHONY: plan
plan: $(SETUP) $(PLAN)  ## compile the sweep for TPUs that are not here: results/plan.md; hours, resumable
	@rm -f results/.plan.*
	@before=[; for plan in $(PLANS); do \
	  for format in markdown json; do \
	    echo "effbench plan $$plan $(ARGS) --$$format"; \
	    $(EFFBENCH) plan $$plan $(ARGS) --$$format > results/.plan.part || test -s results/.plan.part || exit 1; \
	    { if [ $$format = json ]; then echo "$$before"; elif [ "$$before" = , ]; then echo; fi; \
	      cat results/.plan.part; } >> results/.plan.$$format; \
	  done; \
	  before=,; \
	done
	@echo ] >> results/.plan.json
	@mv results/.plan.markdown results/plan.md
	@mv results/.plan.json results/plan.json
	@rm results/.plan.part

.PHONY: gate
gate: $(SETUP)  ## a small sweep must not be worse than results/baseline, which holds the same
	rm -rf .gate
	EFFBENCH_CACHE=.gate/cache $(EFFBENCH) sweep --cpu --variants B0,B1 --weights none --data digits \
	  --recipe case-study --image-size 64 --seeds 0,1,2,3,4 --results .gate
	$(EFFBENCH) compare results/baseline .gate --max-drop 1 --require-all

.PHONY: bench
bench: $(SETUP)  ## time the case study's own way against cached features
	$(EFFBENCH) bench probe $(ARGS)

.PHONY: setup
setup: $(SETUP)  ## make .venv from the pinned lists: ACCEL=cpu, gpu, tpu, gpu-xla or tpu-xla, else what is here

# The list of an accelerator is complete; resolving would bring a second TensorFlow beside it.
$(STACK): $(LISTS) requirements/dev.txt
	@rm -rf .venv
	@for python in python3 python3.11; do \
	  $$python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null \
	    && $$python -m venv .venv && exit; \
	done; \
	rm -rf .venv; \
	if command -v uv >/dev/null; then uv venv --quiet --python 3.11 --seed .venv; \
	else echo 'effbench needs Python 3.11: install python3.11 (with its venv module) or uv' >&2; exit 1; fi
	$(PYTHON) -m pip install --no-deps $(addprefix -r ,$^)
	@touch $@

# setuptools is in every list, TensorFlow requires it: no build environment to download.
$(SETUP): $(STACK) pyproject.toml
	$(PYTHON) -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(PLAN): $(STACK) requirements/plan.txt
	$(PYTHON) -m pip install --no-deps -r requirements/plan.txt
	@touch $@

.PHONY: lock
lock: $(STACK)  ## bring requirements/ up to pyproject.toml; ARGS=--upgrade for the newest pins
	$(COMPILE) -o requirements/cpu.txt pyproject.toml
	$(COMPILE) -o requirements/gpu.txt pyproject.toml --group gpu -c requirements/cpu.txt
	$(COMPILE) -o requirements/tpu.txt pyproject.toml --group tpu -c requirements/cpu.txt \
	  --no-emit-package tensorflow
	$(COMPILE) -o requirements/dev.txt --group dev -c requirements/cpu.txt
	for extra in plan gpu-xla tpu-xla; do \
	  $(subst 2_28,2_31,$(COMPILE)) -o requirements/$$extra.txt pyproject.toml --extra $$extra \
	    -c requirements/cpu.txt $$(sed -n 's/==.*//p' requirements/cpu.txt | sed 's/^/--no-emit-package /') \
	    || exit 1; \
	done

# cpu.txt constrains the others, so that results of different accelerators can be compared.
# libtpu wants a newer Linux than the others. What only `effbench plan` and XLA need is apart.
# Linux on x86-64 has all three; a Mac's list equals cpu.txt; tensorflow-addons runs nowhere else.
COMPILE = .venv/bin/uv pip compile --quiet --no-annotate --custom-compile-command 'make lock' \
	--python-version 3.11 --python-platform x86_64-manylinux_2_28 $(ARGS)

.PHONY: clean
clean:  ## remove .venv, .demo, .gate and caches, never results/
	rm -rf .venv .demo .gate build *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
