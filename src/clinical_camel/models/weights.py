"""Safetensors files without torch: headers, sha256, and whether every number is finite.

A file is read once, in order: the same pass hashes it and looks for NaN and infinity. Results for
large files are stored next to the hub's cache, so that a base of 140 GB is not read at every step.
Format: github.com/huggingface/safetensors, section "Format".
"""

import contextlib
import functools
import hashlib
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from huggingface_hub.constants import HF_HOME

from clinical_camel.core.files import read_json, write_json
from clinical_camel.core.hashing import hash_file

HEADER_LIMIT = 100_000_000  # bytes, the limit of the safetensors library
CHUNK = 1 << 20  # bytes read at a time, a multiple of every number's size; fits a core's cache
LARGE = 10**9  # bytes; the result for a larger file is stored on disk
BITS = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16),
    **dict.fromkeys(("I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 8),
    **{"F6_E2M3": 6, "F6_E3M2": 6, "F4": 4},
}
FLOATS = ("F64", "F32", "F16", "BF16")  # what an unquantized weight may be
# The integer type to view a number as, a mask without its sign, and the first invalid value.
_BITS = {
    "F64": (np.uint64, 0x7FFFFFFFFFFFFFFF, 0x7FF0000000000000),
    "F32": (np.uint32, 0x7FFFFFFF, 0x7F800000),
    "F16": (np.uint16, 0x7FFF, 0x7C00),
    "BF16": (np.uint16, 0x7FFF, 0x7F80),
    "F8_E5M2": (np.uint8, 0x7F, 0x7C),
    "F8_E4M3": (np.uint8, 0x7F, 0x7F),
}


class DamagedFileError(ValueError):
    """A safetensors file that cannot be used, with the reason."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of a file: its numbers lie between these bytes, counted after the header."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


def read_header(file: Path) -> tuple[int, dict[str, Tensor]]:
    """Return where the numbers begin, in bytes, and the tensors by name, in the file's order.

    Raises DamagedFileError unless header, tensors and size of the file agree.
    """
    size = file.stat().st_size
    try:
        with file.open("rb") as handle:
            length = int.from_bytes(handle.read(8), "little")
            if size < 8 or not 2 <= length <= min(HEADER_LIMIT, size - 8):
                raise DamagedFileError(f"is cut or damaged: {size} bytes, header of {length}")
            text = handle.read(length)
    except OSError as error:
        raise DamagedFileError(f"cannot be read ({error.strerror})") from error
    try:
        header = json.loads(text)
        header.pop("__metadata__", None)
        tensors = {name: _parse_tensor(entry) for name, entry in header.items()}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedFileError(
            "is damaged: its header is not that of a safetensors file"
        ) from error
    tensors = dict(sorted(tensors.items(), key=lambda item: (item[1].start, item[1].stop)))
    stop = 0
    for name, tensor in tensors.items():
        if tensor.start != stop:
            raise DamagedFileError(f"is damaged: {name} overlaps another tensor, or leaves a gap")
        stop = tensor.stop
    if 8 + length + stop != size:
        raise DamagedFileError(
            f"is cut or damaged: {size} bytes, its header needs {8 + length + stop}"
        )
    return 8 + length, tensors


def _parse_tensor(entry: dict) -> Tensor:
    (start, stop), shape = entry["data_offsets"], tuple(entry["shape"])
    numbers = (start, stop, *shape)
    if not all(type(number) is int and 0 <= number < 2**62 for number in numbers):
        raise ValueError("offsets and shapes are whole numbers")
    if stop - start != math.ceil(math.prod(shape) * BITS[entry["dtype"]] / 8):
        raise ValueError("a tensor has another size than its shape")
    return Tensor(entry["dtype"], shape, start, stop)


# --------------------------------------------------------------------- one pass over the numbers


def hash_weights(folder: Path) -> str:
    """First 16 hex digits of the sha256 over a folder's safetensors files, in name order."""
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*.safetensors")):
        digest.update(bytes.fromhex(_find_blob_hash(file) or scan(file)[0]))
    return digest.hexdigest()[:16]


def _find_blob_hash(file: Path) -> str:
    """Return the sha256 that the hub's cache gives a large file as its name; else ""."""
    target = file.resolve().name
    return target if file.is_symlink() and re.fullmatch("[0-9a-f]{64}", target) else ""


def scan(file: Path) -> tuple[str, str]:
    """Return the sha256 of a file, and what is wrong with its numbers; "" if all are finite."""
    state = file.stat()
    return _scan_once(file, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


@functools.cache
def _scan_once(file: Path, size: int, modified: int, changed: int) -> tuple[str, str]:
    memory, key = Path(HF_HOME) / "clinical_camel_weights.json", str(file.resolve())
    state, results = [size, modified, changed], {}
    if size > LARGE:
        results = read_json(memory)
        entry = results.get(key)
        if isinstance(entry, dict) and entry.get("state") == state:
            return str(entry["sha256"]), str(entry["problem"])
    sha256, problem = _read_once(file)
    if size > LARGE:
        entry = {"state": state, "sha256": sha256, "problem": problem}
        with contextlib.suppress(OSError):  # a read-only home: the file is read again next time
            write_json(memory, results | {key: entry})
    return sha256, problem


def _read_once(file: Path) -> tuple[str, str]:
    try:
        begin, tensors = read_header(file)
    except DamagedFileError as error:
        return hash_file(file), str(error)
    problem = ""
    with file.open("rb") as handle:
        digest = hashlib.sha256(handle.read(begin))
        for name, tensor in tensors.items():
            for chunk in _read_chunks(handle, tensor.stop - tensor.start):
                digest.update(chunk)
                if not problem and not _is_finite(chunk, tensor.dtype):
                    problem = f"{name} contains NaN or infinity"
    return digest.hexdigest(), problem


def _read_chunks(handle, size: int) -> Iterator[bytes]:
    while size > 0:
        chunk = handle.read(min(CHUNK, size))
        if not chunk:
            raise DamagedFileError("became shorter while it was read")
        size -= len(chunk)
        yield chunk


def _is_finite(chunk: bytes, dtype: str) -> bool:
    if dtype not in _BITS:
        return True
    kind, mask, first = _BITS[dtype]
    return int((np.frombuffer(chunk, kind) & kind(mask)).max()) < first  # a chunk is never empty


def is_zero(file: Path, begin: int, tensor: Tensor) -> bool:
    """Whether all numbers of a tensor of FLOATS are zero, of whatever sign."""
    kind, mask, _ = _BITS[tensor.dtype]
    with file.open("rb") as handle:
        handle.seek(begin + tensor.start)
        chunks = _read_chunks(handle, tensor.stop - tensor.start)
        return not any((np.frombuffer(chunk, kind) & kind(mask)).any() for chunk in chunks)
