"""The memory of `plan` and the operations of a step, on the product's own training step."""

import pytest

from clinical_camel.estimate import memory, shapes, walk
from clinical_camel.estimate.speed import MACHINES
from clinical_camel.estimate.work import Work
from clinical_camel.runner.jobs import load_job

LAYERS, TOKENS = 2, 4096


def load_recipe(**changed):
    changed = {"max_length": TOKENS, "packing": True} | changed
    return load_job("clinical_camel_70b", "02_sft_qlora").settings.model_copy(update=changed)


def find_short_base(size, monkeypatch):
    """A Llama 2 with two layers."""
    name = f"meta-llama/Llama-2-{size}-hf"
    monkeypatch.setitem(shapes.SHAPES, "two", shapes.SHAPES[name] | {"num_hidden_layers": LAYERS})
    return shapes.find_base.__wrapped__("two")


@pytest.mark.parametrize(("size", "share"), [("7b", 1.0), ("13b", 0.5), ("70b", 0.5)])
@pytest.mark.parametrize("recomputed", [0, 1, 2])
def test_the_peak_is_that_of_the_plan_and_no_operation_is_missing(
    size, recomputed, share, monkeypatch
):
    base = find_short_base(size, monkeypatch)
    recipe = load_recipe(gradient_checkpointing_layers=recomputed)
    walked = walk.walk_training(base.config, recipe, share)
    done = Work(longest_row=TOKENS, target_share=share)
    parts = memory.estimate_training(base, recipe, done, MACHINES["h100"])
    plan = sum(parts.values()) - parts["libraries"]
    assert plan == pytest.approx(walked.peak, rel=0.07)
    counts = walk.name_operations(walked)
    assert counts == walk.count_operations(base, recomputed)
    trained = sum(r * c for r, c in shapes.list_lora_shapes(base, 64, ("all-linear",)))
    weights = sum(memory.estimate_weights(base, "nf4", 2).values())
    assert walked.loaded == pytest.approx(weights + 4 * trained, rel=0.001)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"quantize": ""}, "quantize: '' cannot be walked"),
        ({"optimizer": "adafactor"}, "optimizer: adafactor cannot be walked"),
        ({"speedups": ["target_head"]}, "speedups: the walk needs target_head and causal_mask"),
    ],
)
def test_a_recipe_that_cannot_be_walked_is_named(changed, message):
    with pytest.raises(ValueError, match=message):
        walk.walk_training(shapes.SHAPES["mini_0.3m"], load_recipe(**changed))
