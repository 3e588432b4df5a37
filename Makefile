# Each target sets up .venv first if it is missing or older than the lock. No logic lives here:
# without make, docs/running.md has the same commands.
PYTHON ?= python3
# where torch comes from; empty: where every package comes from. On Linux, this is torch for CUDA:
# make study TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
RUN = .venv/bin/python

LAB_IP ?= 127.0.0.1

.PHONY: study results test smollm2 lab site slides lint drill

study: .venv/.ready  ## run the embedded study: notebooks 01 to 05 and 09
	$(RUN) -m clinical_camel run mini_camel

results: .venv/.ready  ## what the study found, on one page: notebook 00, from the results that are here
	$(RUN) -m clinical_camel run results --force

smollm2: .venv/.ready  ## fetch a real model with 135 million parameters, then run its study: hours; needs data/public
	$(RUN) -m clinical_camel fetch smollm2_135m
	$(RUN) -m clinical_camel run smollm2_135m

test: .venv/.ready  ## all tests, the notebooks among them
	$(RUN) -m pytest -n auto --dist loadfile

lab: .venv/.ready  ## open copies of notebooks and exercises in JupyterLab, on this machine only (in a container: LAB_IP); delete lab/ for new copies
	test -e lab/01_dbke.ipynb || { mkdir -p lab && cp -r notebooks/. lab; }
	test -d lab/teaching || cp -r docs/teaching lab/teaching
	$(RUN) -m jupyterlab --ip=$(LAB_IP) --ServerApp.root_dir="$(CURDIR)" --LabApp.default_url=/lab/tree/lab \
		$(if $(filter 0,$(shell id -u)),--allow-root)

site: .venv/.ready  ## write the results and the documentation as a web site: site/index.html
	$(RUN) -m docs.site.build

slides: .venv/.ready  ## slides from the notebooks, in slides/: HTML that works offline
	$(RUN) -m clinical_camel.course.slides

drill: .venv/.ready  ## fault drills of runner, checkpoints and teachers; memory of large models; coverage of the intervals: about 40 minutes
	$(RUN) -m drills.runner
	$(RUN) -m drills.checkpoint
	$(RUN) -m drills.teacher
	$(RUN) -m drills.fake_walk
	$(RUN) -m benchmarks.stats_coverage

lint: .venv/.ready
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

.venv/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and "Python 3.11 or newer is needed, $(PYTHON) is %d.%d; as in: make study PYTHON=python3.12" % v[:2])'
	@echo "setting up .venv: about 2 minutes and 2.6 GB with torch for the CPU; torch for CUDA is much larger (docs/running.md)"
	$(PYTHON) -m venv .venv
	$(RUN) -m pip install --quiet --disable-pip-version-check --upgrade pip==26.3
	$(if $(TORCH_INDEX),$(RUN) -m pip install --quiet --index-url "$(TORCH_INDEX)" "$$(grep '^torch==' requirements.lock)")
	$(RUN) -m pip install --quiet --requirement requirements.lock
	$(RUN) -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
