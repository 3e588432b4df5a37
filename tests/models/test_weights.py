"""Safetensors files without torch: one pass finds the hash and every invalid number."""

import hashlib

import pytest
import torch
from safetensors.torch import save_file

from clinical_camel.models import weights

KINDS = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e5m2)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf, -torch.nan])
def test_an_invalid_number_is_found_in_every_kind_wherever_it_is(kind, value, tmp_path):
    for place in (0, 70_000, 99_999):
        numbers = torch.linspace(-1000, 1000, 100_000)
        numbers[place] = value
        save_file({"a": torch.ones(3), "b": numbers.to(kind)}, tmp_path / f"{place}.safetensors")
        _, problem = weights.scan(tmp_path / f"{place}.safetensors")
        assert problem == "b contains NaN or infinity"


@pytest.mark.parametrize("kind", [*KINDS, torch.int8, torch.bool], ids=str)
def test_the_hash_is_that_of_the_file_and_extreme_numbers_are_valid(kind, tmp_path):
    largest = torch.finfo(kind).max if kind.is_floating_point else 1
    file = tmp_path / "x.safetensors"
    save_file(
        {
            "a": torch.tensor([largest, -largest, 0], dtype=torch.float64).to(kind),
            "empty": torch.ones(0),
        },
        file,
    )
    assert weights.scan(file) == (hashlib.sha256(file.read_bytes()).hexdigest(), "")


def test_a_large_file_is_read_once_and_again_only_if_it_changed(tmp_path, monkeypatch):
    """A base of 140 GB would otherwise be read at every step."""
    file, reads = tmp_path / "x.safetensors", []
    read_once = weights._read_once
    monkeypatch.setattr(weights, "LARGE", 0)
    monkeypatch.setattr(weights, "HF_HOME", str(tmp_path))
    monkeypatch.setattr(weights, "_read_once", lambda f: reads.append(f) or read_once(f))
    save_file({"a": torch.ones(3)}, file)
    first = weights.scan(file)
    weights._scan_once.cache_clear()  # as in a later process
    assert weights.scan(file) == first
    assert len(reads) == 1
    save_file({"a": torch.tensor([torch.nan])}, file)
    assert weights.scan(file)[1] == "a contains NaN or infinity"
    assert len(reads) == 2


@pytest.mark.parametrize(("value", "is_zero"), [(0.0, True), (-0.0, True), (1e-40, False)])
def test_zeros_of_either_sign_are_zero(value, is_zero, tmp_path):
    save_file({"a": torch.full((5,), value)}, tmp_path / "x.safetensors")
    begin, tensors = weights.read_header(tmp_path / "x.safetensors")
    assert weights.is_zero(tmp_path / "x.safetensors", begin, tensors["a"]) is is_zero
