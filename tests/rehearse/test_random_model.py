"""Random weights of the real shape take the path of real ones."""

import shutil

import pytest
import torch

from clinical_camel import models
from clinical_camel.core.base_models import find_folder
from clinical_camel.rehearse import random_model, stand_ins


@pytest.fixture
def stand_in(project) -> str:
    """A folder that stands in for a base model, as a rehearsal writes it."""
    place = project.root / "a/model"
    place.mkdir(parents=True)
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(find_folder("mini") / name, place / name)
    source = place.with_name("source")
    place.rename(source)
    config, _ = stand_ins.read_configuration("mini")
    stand_ins.write_model(place, "a/source", "")
    assert config["vocab_size"] == models.build_skeleton("a/model").config.vocab_size
    return "a/model"


@pytest.mark.parametrize("quantize", ["nf4", ""])
def test_a_random_base_has_shapes_types_and_quantization_of_a_real_one(stand_in, quantize):
    real, made = models.load_base("mini", quantize), random_model.load_base(stand_in, quantize)
    kinds = [(type(module).__name__) for module in real.modules()]
    assert [type(module).__name__ for module in made.modules()] == kinds
    shapes = {name: (p.shape, p.dtype) for name, p in real.named_parameters()}
    assert {name: (p.shape, p.dtype) for name, p in made.named_parameters()} == shapes
    logits = made(input_ids=torch.tensor([[5, 6, 7]])).logits
    assert logits.isfinite().all()
    assert logits.std() > 0


def test_only_a_stand_in_has_random_weights(stand_in):
    assert random_model.has_own_weights("mini")
    assert not random_model.has_own_weights(stand_in)


def test_weights_of_a_large_model_need_no_memory():
    with torch.device("meta"):
        skeleton = torch.nn.Sequential(torch.nn.Linear(8192, 28672), torch.nn.LayerNorm(8192))
    weights = random_model.make_weights(skeleton, torch.bfloat16)
    matrix = weights["0.weight"]
    assert matrix.shape == (28672, 8192)
    assert matrix.untyped_storage().nbytes() < 40_000_000
    assert not torch.equal(matrix[0, :100], matrix[1, :100])
    assert torch.equal(weights["1.weight"], torch.ones(8192, dtype=torch.bfloat16))


def test_every_adapter_gets_the_shape_of_its_recipe(project):
    (project.root / "own").mkdir()
    file = project.root / "own/adapter_config.json"
    file.write_text('{"r": 2, "target_modules": ["q_proj"]}', encoding="utf-8")
    llms = random_model.load("mini", {"base": "", "tuned": "own", "other": "missing"}, "nf4")
    ranks = {c.r for c in llms["base"].model.peft_config.values()}
    assert list(llms) == ["base", "tuned", "other"]
    assert ranks == {2, 64}
    assert next(models.score_pairs(llms["tuned"], [models.Pair((5, 6, 7), (8, 9))], 64))[1] < 0
