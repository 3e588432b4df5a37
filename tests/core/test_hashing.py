"""Hashes of values do not depend on the order of keys or on the type that holds a value."""

import hashlib
from dataclasses import dataclass

import numpy as np
import pytest

from clinical_camel.core.hashing import hash_file, key_hash
from clinical_camel.core.settings import StepSettings


@dataclass
class Row:
    a: int


def test_the_order_of_keys_does_not_matter():
    assert key_hash({"a": 1, "b": [2]}) == key_hash({"b": [2], "a": 1})
    assert key_hash([1, 2]) != key_hash([2, 1])


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Row(1), {"a": 1}),
        (np.float64(0.5), 0.5),
        (np.array([1, 2]), [1, 2]),
        (StepSettings(), {"study": "mini_camel", "seed": 0}),
    ],
)
def test_rows_arrays_and_settings_are_hashed_by_their_values(value, plain):
    assert key_hash({"x": value}) == key_hash({"x": plain})


def test_a_value_that_json_lacks_is_named():
    with pytest.raises(TypeError, match="set cannot be written as JSON"):
        key_hash({1, 2})


def test_a_file_is_hashed_by_its_bytes(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert hash_file(tmp_path / "x") == hashlib.sha256(b"abc").hexdigest()
