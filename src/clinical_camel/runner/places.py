"""What this machine must have before a kernel starts: folders to write in, a GPU, packages."""

import contextlib
import importlib.util
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from clinical_camel.core.base_models import REGISTERED, check_fetched, find_missing_package
from clinical_camel.core.paths import relative, root
from clinical_camel.runner.jobs import Job
from clinical_camel.runner.state import COMPLETE, find_state

DRIVERS = {"11": 450, "12": 525, "13": 580}  # oldest NVIDIA driver for each major version of CUDA
OLDER = "cu126"  # a build of torch for an older CUDA
INDEX = "https://download.pytorch.org/whl"
READ_TORCH = (
    "import json, torch; "
    "print(json.dumps([torch.__version__, torch.version.cuda, torch.cuda.is_available()]))"
)


def check_places(study: str) -> Iterator[str]:
    """Yield folders in which a kernel or the runner writes and this user cannot, with the remedy.

    A kernel that cannot write its connection file dies with a message about Jupyter.
    """
    from jupyter_core.paths import jupyter_runtime_dir

    outputs = root() / "outputs" / study
    places = {
        outputs: "results go there; make it writable, or copy the project to a folder of yours",
        Path(jupyter_runtime_dir()): "kernels need it; set JUPYTER_RUNTIME_DIR to another folder",
    }
    for folder, remedy in places.items():
        if problem := try_to_write(folder):
            yield f"{relative(folder) if folder == outputs else folder}: {problem}; {remedy}"
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        yield "no folder for temporary files can be written in; set TMPDIR to one"


def try_to_write(folder: Path) -> str:
    """Return why no file can be made in a folder, which is created if missing; "" if one can.

    A full disk is no problem here: the step that fills it reports it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        return f"cannot be written in ({error.strerror})"
    except OSError as error:
        return "is on a read-only disk" if error.errno == 30 else ""


def check_machine(job: Job) -> Iterator[str]:
    """Yield settings of a step that need a GPU or a package that this machine lacks."""
    if job.params.get("quantize") == "int8" and not has_gpu():
        yield f"{job.source}: quantize: int8 needs a GPU, and none is here; write nf4, or use one"
    attention = job.params.get("attn_implementation", "")
    if package := find_missing_package(attention):
        yield (
            f"{job.source}: attn_implementation: {attention} needs the package {package}, "
            'which is not installed; write "" for the default'
        )
    if "compile" in job.params.get("speedups", ()) and (missing := find_missing_compiler()):
        yield f"{job.source}: speedups: compile needs {missing}; install it, or remove compile"
    if job.params.get("compile_generation") and has_gpu() and (missing := find_missing_compiler()):
        yield f"{job.source}: compile_generation: needs {missing}; install it, or write false"
    yield from _check_model(job, "model", job.params.get("model", ""))
    for name in ("teacher", "judge"):
        if name in job.params:
            yield from _check_writer(job, name)


def check_gpu(jobs: Iterable[Job]) -> Iterator[str]:
    """Yield, for the first model that is not ours, that torch cannot use the GPU that is here.

    The models of `core.base_models` are made for CPUs.
    """
    large = (place for job in jobs for place in _list_models(job) if place[1] not in REGISTERED)
    if (place := next(large, None)) and (problem := describe_unusable_gpu()):
        yield f"{place[0]}: {place[1]} would run on the CPU: {problem}"


def _list_models(job: Job) -> Iterator[tuple[str, str]]:
    """Yield the place and the name of each model that a step loads."""
    if model := job.params.get("model"):
        yield f"{job.source}: model", model
    for name in ("teacher", "judge"):
        writer = job.params.get(name, {})
        if writer.get("kind") == "local" and getattr(job.settings, "uses_judge", True):
            yield f"{job.source}: {name}.model", writer["model"]


def describe_unusable_gpu() -> str:
    """Return why torch sees no GPU although one seems to be here, with the remedies; "" if not."""
    facts = read_torch() if has_gpu() else None
    if facts is None or facts[2]:
        return ""
    version, cuda, _ = facts
    build, remedy = "CPUs", "install torch for your GPU"
    if cuda:
        least = DRIVERS.get(cuda.partition(".")[0], max(DRIVERS.values()))
        build = f"CUDA {cuda}, which needs driver {least} or newer (nvidia-smi prints yours)"
        remedy = "update the driver, or install torch for an older CUDA"
    if (chosen := os.environ.get("CUDA_VISIBLE_DEVICES", "0")) != "0":
        remedy = f"check that GPU {chosen} exists (CUDA_VISIBLE_DEVICES), {remedy}"
    older = f"torch=={version.partition('+')[0]}+{OLDER} --index-url {INDEX}/{OLDER}"
    return (
        f"a GPU seems to be here, and torch {version} sees none; it is built for {build}; {remedy} "
        f"(for driver {DRIVERS['12']} or newer: pip install {older}); to use the CPU on purpose, "
        'write CUDA_VISIBLE_DEVICES="" before the command'
    )


def read_torch() -> tuple[str, str | None, bool] | None:
    """Return the version of torch, that of its CUDA, and whether it sees a GPU; None if it fails.

    Another process imports torch, so that the runner stays small and holds no GPU.
    """
    process = subprocess.run([sys.executable, "-c", READ_TORCH], capture_output=True, text=True)
    return None if process.returncode else tuple(json.loads(process.stdout.splitlines()[-1]))


def _check_writer(job: Job, name: str) -> Iterator[str]:
    """Yield that the language model of a setting is not here, or that it has no key.

    A complete step needs no key, and step 07 may not use its judge.
    """
    writer = job.params[name]
    kind = writer.get("kind")
    if kind not in ("local", "replay", "openai") or not getattr(job.settings, "uses_judge", True):
        return
    if kind == "local":
        yield from _check_model(job, f"{name}.model", writer["model"])
    elif kind == "replay":
        yield from _check_recorded(job, f"{name}.ledger", writer["ledger"])
    elif find_state(job).status != COMPLETE:
        settings = getattr(job.settings, name)
        yield from (f"{job.source}: {name}: {problem}" for problem in settings.check_key())


def _check_recorded(job: Job, key: str, ledger: str) -> Iterator[str]:
    """Yield that a recorded ledger cannot be replayed: missing, another file, or a damaged one."""
    file, problem = root() / ledger, ""
    if not file.is_file():
        problem = "is no file; name a ledger"
    else:
        address = f"{file.resolve().as_uri()}?mode=ro&immutable=1"
        with contextlib.closing(sqlite3.connect(address, uri=True)) as database:
            try:
                (result,) = database.execute("PRAGMA quick_check(1)").fetchone()
                problem = "" if result == "ok" else f"is damaged ({result.splitlines()[-1]})"
            except sqlite3.DatabaseError as error:
                problem = f"is no ledger ({error}); name a ledger, or restore it"
    if problem:
        yield f"{job.source}: {key}: {ledger} {problem}"


def _check_model(job: Job, key: str, model: str) -> Iterator[str]:
    if problem := check_fetched(model):
        yield f"{job.source}: {key}: {problem}"
    if _is_offline() and re.fullmatch(r"[\w.-]+/[\w.-]+", model) and not (root() / model).exists():
        from huggingface_hub import try_to_load_from_cache

        if not isinstance(try_to_load_from_cache(model, "config.json"), str):
            yield (
                f"{job.source}: {key}: {model} is not on this machine, and HF_HUB_OFFLINE is set; "
                "unset it once to download the model, or name a folder"
            )


def _is_offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")


def find_missing_compiler() -> str:
    """Return what torch.compile lacks on this machine, "" if nothing."""
    if has_gpu():
        return "" if importlib.util.find_spec("triton") else "the package triton"
    compiler = os.environ.get("CXX") or "g++"
    return "" if shutil.which(compiler) else f"a C++ compiler, and there is no {compiler}"


def has_gpu() -> bool:
    """Return whether a GPU seems to be here, without importing torch, which takes two seconds."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0") in ("", "-1"):
        return False
    devices = ("/dev/nvidia0", "/dev/kfd", "/dev/dxg", "/proc/driver/nvidia/gpus")
    return bool(shutil.which("nvidia-smi")) or any(map(os.path.exists, devices))
