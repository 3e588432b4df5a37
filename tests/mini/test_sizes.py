"""Sizes of the base model: one recipe, in which only width and learning rates differ."""

import pytest

from clinical_camel.core import base_models
from clinical_camel.mini.sizes import PHASES, SHIPPED_SIZE, SIZES


def test_every_size_but_the_shipped_one_is_registered():
    others = {size.model: size.name for size in SIZES.values() if size is not SHIPPED_SIZE}
    assert others == base_models.BUILT
    assert SHIPPED_SIZE.model == base_models.SHIPPED


@pytest.mark.parametrize(("name", "factor"), [("0.3m", 2**0.5), ("1.1m", 1.0), ("4m", 0.5**0.5)])
def test_sizes_differ_in_width_and_learning_rates_only(name, factor):
    size = SIZES[name]
    widths = {"hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads"}
    changed = {
        key for key, value in SHIPPED_SIZE.architecture.items() if size.architecture[key] != value
    }
    assert changed == (widths if name != "1.1m" else set())
    assert size.architecture["hidden_size"] == 32 * size.architecture["num_attention_heads"]
    for phase, values in PHASES.items():
        for key, value in values.items():
            actual = size.phases[phase][key]
            is_equal = actual == value
            assert actual == pytest.approx(value * factor) if key.endswith("_rate") else is_equal
