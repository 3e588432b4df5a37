# Each target sets up .venv first if it is missing or older than the lock. No logic lives here:
# without make, docs/running.md has the same commands.
PYTHON ?= python3
RUN = .venv/bin/python

.PHONY: study test smollm2 lab lint drill

study: .venv/.ready  ## run the embedded study, all five notebooks
	$(RUN) -m clinical_camel run mini_camel

smollm2: .venv/.ready  ## fetch a real model with 135 million parameters, then run its study: hours
	$(RUN) -m clinical_camel fetch smollm2_135m
	$(RUN) -m clinical_camel run smollm2_135m

test: .venv/.ready  ## all tests, the notebooks among them
	$(RUN) -m pytest

lab: .venv/.ready  ## open copies of the notebooks in JupyterLab, on this machine only; delete lab/ for new copies
	test -d lab || cp -r notebooks lab
	$(RUN) -m jupyterlab --ip=127.0.0.1 --ServerApp.root_dir="$(CURDIR)" --LabApp.default_url=/lab/tree/lab \
		$(if $(filter 0,$(shell id -u)),--allow-root)

drill: .venv/.ready  ## fault drills of runner, checkpoints and teachers; coverage of the intervals: about 30 minutes
	$(RUN) -m drills.runner
	$(RUN) -m drills.checkpoint
	$(RUN) -m drills.teacher
	$(RUN) -m benchmarks.stats_coverage

lint: .venv/.ready
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

.venv/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and "Python 3.11 or newer is needed, $(PYTHON) is %d.%d; as in: make study PYTHON=python3.12" % v[:2])'
	@echo "setting up .venv: about 2 minutes and 2.6 GB with torch for the CPU"
	$(PYTHON) -m venv .venv
	$(RUN) -m pip install --quiet --disable-pip-version-check --upgrade pip==26.3
	$(RUN) -m pip install --quiet --requirement requirements.lock
	$(RUN) -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
