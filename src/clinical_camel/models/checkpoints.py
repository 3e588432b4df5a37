"""Checkpoints from which an interrupted training resumes: complete ones of the same recipe only.

A kill or a full disk leaves half a checkpoint, and the trainer accepts it: without `optimizer.pt`
or `rng_state.pth` it continues as a different run, without a warning. So every checkpoint gets a
manifest: the fingerprint of the training, and size and sha256 of every file. The manifest is
written last. A checkpoint without a manifest, or with a file that differs from it, is never opened
(a checkpoint contains pickles); the training resumes from the one before.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from clinical_camel.core.files import write_bytes
from clinical_camel.core.hashing import hash_file, key_hash

MANIFEST = "manifest.json"
IS_WINDOWS = os.name == "nt"
LIMIT = 2  # checkpoints on disk: the newest, and the one before in case the newest is damaged
Fingerprint = dict[str, Any]  # everything that decides the result of a training, by name


class TrainingError(ValueError):
    """A training that must not continue, or whose result cannot be used, with the reason."""


def name_folder(fingerprint: Fingerprint) -> str:
    """Return the name of the folder for the checkpoints of this fingerprint."""
    return f"checkpoints-{key_hash(fingerprint)[:12]}"


def describe_differences(before: Fingerprint, now: Fingerprint) -> str:
    """Return where two fingerprints differ, as text; "" if they are equal."""
    names = [name for name in now | before if now.get(name) != before.get(name)]
    return "; ".join(f"{name} {before.get(name)}, now {now.get(name)}" for name in names)


def report_unused(folder: Path, fingerprint: Fingerprint) -> None:
    """Print why each other folder of checkpoints next to `folder` is not used."""
    for other in sorted(folder.parent.glob("checkpoints-*")):
        if other == folder:
            continue
        manifests = (_read_manifest(checkpoint) for checkpoint in _newest_first(other))
        manifest = next(filter(None, manifests), None)
        reason = (
            describe_differences(manifest["fingerprint"], fingerprint)
            if manifest
            else "none has a manifest"
        )
        print(f"{other.name}: checkpoints of another recipe, not used ({reason})", flush=True)


def publish(checkpoint: Path, fingerprint: Fingerprint, best: str = "") -> None:
    """Write the manifest of a checkpoint, after all its files are on the disk.

    `best` names the best checkpoint so far, if it is loaded at the end of the training: a training
    that resumes from this checkpoint needs it.
    """
    files = {name: _describe_file(file) for name, file in _list_files(checkpoint).items()}
    content = {"fingerprint": fingerprint, "best": best, "files": files}
    for name in files:
        _sync(checkpoint / name)
    text = json.dumps(content | {"sha256": key_hash(content)}, indent=1, sort_keys=True)
    write_bytes(checkpoint / MANIFEST, text.encode())
    _sync(checkpoint)
    _sync(checkpoint.parent)


def find_newest_complete(folder: Path, fingerprint: Fingerprint) -> str | None:
    """Return the path of the newest complete checkpoint, or None.

    Newer ones are reported with the file and the damage, and deleted: the trainer would write its
    next checkpoint into them. Raises TrainingError for a complete checkpoint of another recipe,
    and OSError for one that cannot be read.
    """
    for checkpoint in _newest_first(folder):
        if problem := check_checkpoint(checkpoint):
            print(f"{checkpoint.name}: {problem}; not used, deleted", flush=True)
            shutil.rmtree(checkpoint)
            continue
        before = _read_manifest(checkpoint)["fingerprint"]
        if differences := describe_differences(before, fingerprint):
            raise TrainingError(f"{checkpoint}: of another recipe ({differences}); move it away")
        print(f"resuming from {checkpoint.name}", flush=True)
        return str(checkpoint)
    return None


def check_checkpoint(checkpoint: Path) -> str:
    """Return what is wrong with a checkpoint, the file first; "" if it is complete."""
    manifest, present = _read_manifest(checkpoint), _list_files(checkpoint)
    if not manifest:
        if (checkpoint / MANIFEST).is_file():
            return f"{MANIFEST} is damaged"
        return f"{MANIFEST} is missing, the save was interrupted"
    files = manifest["files"]
    if missing := sorted(files.keys() - present):
        return f"{missing[0]} is missing"
    if extra := sorted(present.keys() - files):
        return f"{extra[0]} is not in {MANIFEST}"
    for name, file in present.items():  # sizes first: they need no reading
        if (size := file.stat().st_size) != files[name]["bytes"]:
            return f"{name} has {size} bytes, {files[name]['bytes']} were written"
    for name, file in present.items():
        if _describe_file(file) != files[name]:
            return f"{name} is damaged, its sha256 differs"
    best = manifest["best"]
    if best and best != checkpoint.name and (why := check_checkpoint(checkpoint.parent / best)):
        return f"needs {best}, the best so far: {why}"
    return ""


def _newest_first(folder: Path) -> list[Path]:
    numbers = {path: path.name.removeprefix("checkpoint-") for path in folder.glob("checkpoint-*")}
    steps = {path: int(number) for path, number in numbers.items() if number.isdecimal()}
    return sorted(steps, key=steps.__getitem__, reverse=True)


def _list_files(checkpoint: Path) -> dict[str, Path]:
    """Return every file of a checkpoint except the manifest, by its name, in order."""
    paths = sorted(path for path in checkpoint.rglob("*") if not path.is_dir() or path.is_symlink())
    names = {path.relative_to(checkpoint).as_posix(): path for path in paths}
    return {name: path for name, path in names.items() if name != MANIFEST}


def _describe_file(file: Path) -> dict[str, Any]:
    return {"bytes": file.stat().st_size, "sha256": hash_file(file)}


def _read_manifest(checkpoint: Path) -> dict[str, Any]:
    """Return the manifest; {} if it is missing or differs from what was written."""
    try:
        content = json.loads((checkpoint / MANIFEST).read_bytes())
        digest = content.pop("sha256")
    except (FileNotFoundError, ValueError, LookupError, TypeError, AttributeError):
        return {}
    return content if digest == key_hash(content) else {}


def _sync(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk.

    On Windows, which opens no folder and syncs no file that is open for reading, do nothing.
    """
    if IS_WINDOWS:
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
