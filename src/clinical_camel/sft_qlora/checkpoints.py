"""What a killed run goes on from: checkpoints in which every file is what was written.

A kill, a full disk or a bad one leaves half a checkpoint, and the trainer takes it for a whole one:
without `optimizer.pt` or `rng_state.pth` it goes on as another run and says nothing. So a
checkpoint counts from the moment its manifest is there: size and sha256 of every file, and the
recipe, written after all of them, whole or not at all. What differs from its manifest, or has
none, is never opened (a checkpoint holds pickles); the one before is taken.
"""

import hashlib
import inspect
import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase, TrainerCallback
from transformers.trainer_utils import rotate_checkpoints

from clinical_camel import models
from clinical_camel.sft_qlora import data_parallel
from clinical_camel.sft_qlora.guards import TrainingError

MANIFEST = "manifest.json"
KEPT = 2  # the newest, and the one before in case the newest is damaged
PACKAGES = ("torch", "transformers", "trl", "peft", "bitsandbytes", "accelerate", "datasets")

Recipe = dict[str, Any]


# ------------------------------------------------------------------- what decides the result


def make_recipe(
    settings: Mapping[str, Any],
    rows: Iterable[Mapping[str, Sequence[int]]],
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    code: Sequence[Any],
) -> Recipe:
    """All that decides the result of a training, by name: two runs with one recipe may be mixed.

    Settings as they are; rows, tokenizer, base and the source of the modules in `code` as hashes;
    the versions of PACKAGES. The kind of GPU is left out: a rented one is rarely the same twice.
    """
    base = model.config.to_dict()  # its quantisation too
    place = base.pop("_name_or_path", "")
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps([row["input_ids"], row["labels"]]).encode())
    recipe = {
        **settings,
        "rows": digest.hexdigest()[:16],
        "tokenizer": _hash(tokenizer.get_vocab()),
        "base": _hash(base),
        **models.fingerprint(place, model),
        "device": models.device(),
        "dtype": str(models.compute_dtype()),
        "code": _hash([inspect.getsource(module) for module in code]),
        **{package: version(package) for package in PACKAGES},
    }
    return json.loads(json.dumps(recipe, default=str))  # as it comes back from a manifest


def folder_name(recipe: Recipe) -> str:
    """The folder of a recipe's checkpoints: another recipe has another."""
    return f"checkpoints-{_hash(recipe)[:12]}"


def differences(theirs: Recipe, ours: Recipe) -> str:
    """Where two recipes differ, for people.

    >>> differences({"seed": 0, "trl": "1.15.0"}, {"seed": 0, "trl": "1.16.0"})
    'trl 1.15.0, now 1.16.0'
    """
    names = [n for n in ours | theirs if ours.get(n) != theirs.get(n)]
    return "; ".join(f"{n} {theirs.get(n)}, now {ours.get(n)}" for n in names)


def mention_others(folder: Path, recipe: Recipe) -> None:
    """A line for each folder of checkpoints beside `folder`: there, not used, and why."""
    for other in sorted(folder.parent.glob("checkpoints-*")):
        if other == folder:
            continue
        recipes = (manifest["recipe"] for c in _newest_first(other) if (manifest := _read(c)))
        theirs = next(recipes, None)
        why = differences(theirs, recipe) if theirs else "none has a manifest"
        print(f"{other.name}: checkpoints of another recipe, not used ({why})", flush=True)


# --------------------------------------------------------------------------------- published


class Publish(TrainerCallback):
    """After each save, in the main process: the manifest, and then the oldest checkpoints go."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    def on_train_begin(self, args, state, control, **kwargs) -> None:
        if best := state.best_model_checkpoint:  # recorded as a path, and folders are moved
            state.best_model_checkpoint = str(Path(args.output_dir) / Path(best).name)
        if "model" in kwargs and state.global_step:
            data_parallel.fill(kwargs["model"], kwargs["optimizer"], _saved(args, state))

    def on_save(self, args, state, control, **kwargs) -> None:
        checkpoint = _saved(args, state)
        data_parallel.keep_part(kwargs.get("model"), kwargs.get("optimizer"), checkpoint)
        data_parallel.wait()  # each process writes the state of its own random numbers
        if data_parallel.rank():
            return
        publish(checkpoint, self.recipe, Path(state.best_model_checkpoint or "").name)
        # The trainer's own turn, save_total_limit, comes before the manifest: then what is
        # deleted may be the last whole one.
        rotate_checkpoints(args.output_dir, KEPT, state.best_model_checkpoint)


def _saved(args: Any, state: Any) -> Path:
    return Path(args.output_dir) / f"checkpoint-{state.global_step}"


def publish(checkpoint: Path, recipe: Recipe, best: str = "") -> None:
    """Write the manifest of a finished checkpoint: last, whole or not at all.

    `best` names the checkpoint that is loaded at the end, if the best one is kept: without it this
    one cannot be gone on from. Every file is on the disk before the manifest is.
    """
    files = {name: _facts(file) for name, file in _files(checkpoint).items()}
    content = {"recipe": recipe, "best": best, "files": files}
    text = json.dumps(content | {"sha256": _hash(content)}, indent=1, sort_keys=True)
    aside = checkpoint / f".{MANIFEST}.tmp"
    aside.write_text(text, encoding="utf-8")
    for place in (*(checkpoint / name for name in files), aside):
        _sync(place)
    aside.replace(checkpoint / MANIFEST)
    _sync(checkpoint)
    _sync(checkpoint.parent)


# ---------------------------------------------------------------------------------- verified


def newest_whole(folder: Path, recipe: Recipe) -> str | None:
    """The newest checkpoint that is whole, or None.

    Newer ones are said, each with the file and what is wrong, and removed: the trainer would write
    its next checkpoint into them. Raises TrainingError for a whole one of another recipe, and
    OSError for one that cannot be read.
    """
    for checkpoint in _newest_first(folder):
        if why := damage(checkpoint):
            print(f"{checkpoint.name}: {why}; not used, removed", flush=True)
            shutil.rmtree(checkpoint)
            continue
        if why := differences(_read(checkpoint)["recipe"], recipe):
            raise TrainingError(f"{checkpoint}: of another recipe ({why}); move it away")
        print(f"going on from {checkpoint.name}", flush=True)
        return str(checkpoint)
    return None


def damage(checkpoint: Path) -> str:
    """What is wrong with a checkpoint, the file first; "" if each file is what was written."""
    manifest, found = _read(checkpoint), _files(checkpoint)
    if not manifest:
        there = (checkpoint / MANIFEST).is_file()
        return f"{MANIFEST} is damaged" if there else f"{MANIFEST} is missing, the save was cut"
    files = manifest["files"]
    if missing := sorted(files.keys() - found):
        return f"{missing[0]} is missing"
    if foreign := sorted(found.keys() - files):
        return f"{foreign[0]} is not in {MANIFEST}"
    for name, file in found.items():  # sizes first: they cost nothing
        if (size := file.stat().st_size) != files[name]["bytes"]:
            return f"{name} has {size} bytes, {files[name]['bytes']} were written"
    for name, file in found.items():
        if _facts(file) != files[name]:
            return f"{name} is damaged, its sha256 is another"
    best = manifest["best"]
    if best and best != checkpoint.name and (why := damage(checkpoint.parent / best)):
        return f"needs {best}, the best so far: {why}"
    return ""


def _newest_first(folder: Path) -> list[Path]:
    numbers = {path: path.name.removeprefix("checkpoint-") for path in folder.glob("checkpoint-*")}
    steps = {path: int(number) for path, number in numbers.items() if number.isdecimal()}
    return sorted(steps, key=steps.__getitem__, reverse=True)


def _files(checkpoint: Path) -> dict[str, Path]:
    """Every file of a checkpoint but the manifest, by its name, in order."""
    found = sorted(path for path in checkpoint.rglob("*") if not path.is_dir() or path.is_symlink())
    names = {path.relative_to(checkpoint).as_posix(): path for path in found}
    return {name: path for name, path in names.items() if name != MANIFEST}


def _facts(file: Path) -> dict[str, Any]:
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return {"bytes": file.stat().st_size, "sha256": digest}


def _read(checkpoint: Path) -> dict[str, Any]:
    """The manifest; {} if it is missing, or not what was written."""
    try:
        content = json.loads((checkpoint / MANIFEST).read_bytes())
        told = content.pop("sha256")
    except (FileNotFoundError, ValueError, LookupError, TypeError, AttributeError):
        return {}
    return content if told == _hash(content) else {}


def _hash(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _sync(place: Path) -> None:
    """Wait until a file, or the list of a folder's names, is on the disk."""
    handle = os.open(place, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
