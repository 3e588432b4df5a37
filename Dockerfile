# The study in a container. For a CPU:
#
#     docker build -t clinical-camel .
#     docker run --rm -v "$PWD/outputs:/study/outputs" clinical-camel
#
# For an NVIDIA GPU (torch brings CUDA; the host needs its driver and the NVIDIA container toolkit):
#
#     docker build -t clinical-camel:cuda --build-arg TORCH_INDEX=https://pypi.org/simple .
#     docker run --rm --gpus all -v "$PWD/outputs:/study/outputs" clinical-camel:cuda
#
# docs/running.md has more, such as JupyterLab in a container.
FROM python:3.11-slim-bookworm

ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1
SHELL ["/bin/bash", "-o", "pipefail", "-c"]

# gcc: triton compiles kernels with it on a GPU; git: a run records its commit
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc git libc6-dev make \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /study
COPY requirements.lock ./
RUN python -m venv .venv \
    && .venv/bin/python -m pip install --quiet "$(grep '^torch==' requirements.lock)" --index-url "$TORCH_INDEX" \
    && .venv/bin/python -m pip install --quiet --requirement requirements.lock
COPY . .
RUN .venv/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable . \
    && git config --system --add safe.directory /study \
    && touch .venv/.ready

ENV PATH="/study/.venv/bin:$PATH"
CMD ["python", "-m", "clinical_camel", "run", "mini_camel"]
