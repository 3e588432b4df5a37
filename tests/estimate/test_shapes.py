"""Base models without weights: their published sizes, LoRA matrices and saved activations."""

import json

import pytest

from clinical_camel.estimate import costs, shapes, skeletons
from clinical_camel.estimate.shapes import find_base, list_lora_shapes
from clinical_camel.mini import sizes
from clinical_camel.runner.jobs import PlanError

ALL = ("all-linear",)


@pytest.mark.parametrize(
    ("model", "total"),
    [
        ("huggyllama/llama-7b", 6_738_415_616),
        ("huggyllama/llama-13b", 13_015_864_320),
        ("meta-llama/Llama-2-7b-hf", 6_738_415_616),
        ("meta-llama/Llama-2-13b-hf", 13_015_864_320),
        ("meta-llama/Llama-2-70b-hf", 68_976_648_192),
        ("meta-llama/Llama-3.1-8B-Instruct", 8_030_261_248),
        ("bigscience/bloom-7b1", 7_069_016_064),
        ("TinyLlama/TinyLlama-1.1B-Chat-v1.0", 1_100_048_384),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", 134_515_008),
        ("HuggingFaceTB/SmolLM2-135M", 134_515_008),
        ("HuggingFaceTB/SmolLM2-360M", 361_821_120),
        ("HuggingFaceTB/SmolLM2-360M-Instruct", 361_821_120),
        ("HuggingFaceTB/SmolLM2-1.7B", 1_711_376_384),
        ("HuggingFaceTB/SmolLM2-1.7B-Instruct", 1_711_376_384),
        ("Qwen/Qwen2.5-7B", 7_615_616_512),
        ("Qwen/Qwen3-8B", 8_190_735_360),
    ],
)
def test_a_known_base_model_has_the_published_number_of_parameters(model, total):
    assert find_base(model).parameters == total


def test_an_unknown_base_model_needs_its_config_file(tmp_path):
    with pytest.raises(PlanError, match=r"--config path/to/config.json.*Llama-2-7b-hf"):
        find_base("somebody/unknown")
    config = tmp_path / "config.json"
    config.write_text(json.dumps(shapes.SHAPES["Qwen/Qwen3-8B"]))
    assert find_base("somebody/unknown", str(config)).parameters == 8_190_735_360
    with pytest.raises(PlanError, match=r"--config: no file nowhere\.json"):
        find_base("somebody/unknown", "nowhere.json")
    config.write_text('{"model_type": "none such"}')
    with pytest.raises(PlanError, match="transformers has no such model_type"):
        find_base("somebody/other", str(config))


def test_a_packaged_model_has_its_shape_before_it_is_fetched(project):
    shapes.find_base.cache_clear()
    base = find_base("smollm2_135m")
    shapes.find_base.cache_clear()  # later tests may find the folder
    assert (base.parameters, base.context) == (134_515_008, 8192)
    assert base.source == "table of shapes"
    assert costs._estimate_download(base) == {"download": 92_871_040}  # the wheel


@pytest.mark.parametrize(("size", "parameters"), [("0.3m", 344_640), ("4m", 3_934_464)])
def test_a_size_of_the_mini_base_has_its_shape_before_it_is_built(size, parameters, project):
    shapes.find_base.cache_clear()
    base = find_base(f"mini_{size}")
    shapes.find_base.cache_clear()
    assert (base.parameters, base.context) == (parameters, 4096)
    assert costs._estimate_download(base) == {}
    config = shapes.SHAPES[f"mini_{size}"] | {"rope_theta": 10000.0, "vocab_size": 2048}
    assert sizes.SIZES[size].architecture.items() <= config.items()


def test_every_model_of_the_table_can_be_built():
    assert min(find_base(model).context for model in shapes.SHAPES) >= 2048


@pytest.mark.parametrize(
    ("model", "weights"),
    # PEFT on the complete model, once; mini: outputs/mini_camel/02_sft_qlora/parameters.csv
    [("mini", 655_360), ("meta-llama/Llama-2-70b-hf", 828_375_040), ("Qwen/Qwen3-8B", 174_587_904)],
)
def test_lora_weights_are_counted_on_all_layers(model, weights):
    matrices = list_lora_shapes(find_base(model), 64, ALL)
    assert sum(rows * columns for rows, columns in matrices) == weights


@pytest.mark.parametrize(
    ("model", "megabytes"),
    # calculated by hand from the layers: shared facts on performance, 2.3
    [("meta-llama/Llama-2-7b-hf", 5.7), ("meta-llama/Llama-2-70b-hf", 30.5)],
)
def test_saved_activations_agree_with_a_count_by_hand(model, megabytes):
    base = find_base(model)
    per_layer = shapes.count_activation_bytes(base, 64, ALL, number_size=2)
    assert per_layer * base.layers / 1e6 == pytest.approx(megabytes, rel=0.1)


@pytest.mark.parametrize("model", ["mini", *shapes.SHAPES])
def test_the_formulas_count_the_weights_of_the_real_architecture(model):
    base = find_base(model)
    linear, unquantized, head = skeletons.count_weights(base.config, model)
    assert sorted(base.linear) == sorted(linear)
    assert (base.unquantized, base.head) == (unquantized, head)


@pytest.mark.parametrize("model", ["mini", "meta-llama/Llama-2-70b-hf", "Qwen/Qwen3-8B"])
@pytest.mark.parametrize("targets", [ALL, ("q_proj", "v_proj"), ("k_proj", "down_proj")])
@pytest.mark.parametrize("size", [2, 4])
def test_the_formulas_count_the_activations_that_autograd_saves(model, targets, size):
    base = find_base(model)
    counted = skeletons.count_activation_bytes(base.config, 16, targets, size)
    # the probe has a mask
    formula = shapes.count_activation_bytes(base, 16, targets, size, mask_length=skeletons.PROBE)
    assert formula == counted
    real = skeletons.list_lora_shapes(base.config, base.layers, 16, targets)
    assert list_lora_shapes(base, 16, targets) == real


def test_an_architecture_without_formulas_is_counted_from_its_modules(tmp_path):
    config = tmp_path / "config.json"
    values = {"model_type": "gpt2", "n_embd": 64, "n_layer": 2, "n_head": 4, "vocab_size": 100}
    config.write_text(json.dumps(values))
    base = find_base("somebody/gpt2", str(config))
    assert (base.layers, base.hidden_size, base.vocabulary) == (2, 64, 100)
    assert base.parameters > 100 * 64
    biased = shapes.SHAPES["mini_0.3m"] | {"attention_bias": True}
    config.write_text(json.dumps(biased))
    more = find_base("somebody/biased", str(config)).parameters
    assert more - find_base("mini_0.3m").parameters == 4 * 4 * 64


@pytest.mark.parametrize(("kind", "is_eager"), [("bloom", True), ("gpt2", False)])
def test_eager_attention_is_counted_on_rows_of_their_own_length(kind, is_eager, tmp_path):
    """Two tensors or more for each head and pair of tokens; other activations are linear."""
    config = tmp_path / "config.json"
    values = {"model_type": kind, "n_embd": 64, "hidden_size": 64, "n_layer": 2, "n_head": 4}
    config.write_text(json.dumps(values | {"vocab_size": 100}))
    base = find_base(f"somebody/{kind}", str(config))
    one, two, four = (
        shapes.count_activation_bytes(base, 4, ALL, 2, row=row) for row in (256, 512, 1024)
    )
    assert four - two == pytest.approx(2 * (two - one))
    assert (two - one >= 2 * 2 * 4 * 256) if is_eager else (four == one)
