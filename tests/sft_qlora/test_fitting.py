"""A recipe that contradicts its base or its data is refused before anything is computed."""

import json
import re

import pytest
import torch
from tests.support.project import make_dialogue
from tests.support.toy_training import BASES, toy_recipe
from transformers import AutoModelForCausalLM, Trainer, TrainingArguments

from clinical_camel import data, models, sft_qlora
from clinical_camel.sft_qlora import fitting, interruption


def change_recipe(**changes):
    """A recipe whose own checks did not see the changes: they cannot read every base."""
    return toy_recipe().model_copy(update=changes)


@pytest.fixture(scope="module")
def base():
    return models.build_skeleton("mini")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"lora_targets": ["q_projj"]}, "lora_targets: the base .* no layer q_projj; its layers "),
        ({"lora_targets": ["q_proj", "nosuch"]}, "has no layer nosuch; .* o_proj, q_proj"),
        ({"lora_targets": ["proj"]}, "has no layer proj"),  # a part of a name is no name
        ({"lora_targets": ["norm"]}, "has no layer norm"),  # no matrix
        (
            {"max_length": 16384},
            "max_length: 16384 is more than the 4096 tokens that mini can",
        ),
        ({"gradient_checkpointing_layers": 5}, "5 is more than the 4 layers of mini; write -1"),
        ({"lora_rank": 385}, "lora_rank: 385 is more than the rank 128 of the largest target"),
        ({"lora_rank": 1, "lora_alpha": 101}, "scale the update by 101, .*; write at most 100"),
        ({"attn_implementation": "flash_attention_2"}, "_2 needs an NVIDIA GPU .* flash-attn;"),
        ({"attn_implementation": "flash_attention_3"}, "_3 needs an NVIDIA GPU .* flash-attn-3;"),
    ],
)
def test_a_recipe_that_contradicts_its_base_is_named(changes, problem, base):
    (text,) = fitting.check_recipe(change_recipe(**changes), base)
    assert re.search(problem, text)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"lora_targets": ["q_proj", "layers.0.self_attn.v_proj", "model.layers.1.mlp.up_proj"]},
        {"max_length": 4096, "lora_rank": 128, "gradient_checkpointing_layers": 4},
        {"gradient_checkpointing_layers": -1},
    ],
)
def test_a_recipe_that_fits_is_accepted(changes, base):
    assert list(fitting.check_recipe(change_recipe(**changes), base)) == []
    sft_qlora.require_fitting_recipe(change_recipe(**changes))


@pytest.mark.parametrize("name", BASES)
def test_a_base_of_every_family_names_its_layers(name):
    with torch.device("meta"):
        base = AutoModelForCausalLM.from_config(BASES[name])
    (text,) = fitting.check_recipe(change_recipe(lora_targets=["evil"]), base)
    assert ("query_key_value" if name == "bloom" else "q_proj") in text
    assert list(fitting.check_recipe(toy_recipe(), base)) == []  # BLOOM has no limit of positions


@pytest.mark.parametrize(
    ("rows", "accumulation", "epochs", "steps"),
    [
        (10, 2, 2.5, 5),  # 3 batches, 2 per step: 2 steps, the second incomplete
        (8, 2, 2.5, 3),  # 1 step per epoch
        (1, 2, 2.5, 3),
        (10, 2, 0.5, 1),
        (100, 1, 1.0, 25),
    ],
)
def test_steps_are_counted_as_the_trainer_counts_them(rows, accumulation, epochs, steps, tmp_path):
    settings = {"gradient_accumulation_steps": accumulation, "num_train_epochs": epochs}
    arguments = TrainingArguments(str(tmp_path), per_device_train_batch_size=4, **settings)
    items = [{"x": torch.zeros(1), "labels": torch.zeros(1)}] * rows
    trainer = Trainer(torch.nn.Linear(1, 1), arguments, train_dataset=items)
    values = trainer.set_initial_training_values(arguments, trainer.get_train_dataloader())
    changed = {"batch_size": 4, "gradient_accumulation_steps": accumulation, "num_epochs": epochs}
    recipe = change_recipe(**changed)
    assert sft_qlora.count_steps(recipe, rows) == values[-1] == steps
    assert sft_qlora.count_steps(recipe, 0) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"warmup_steps": 12.0}, "warmup_steps: 12, but the training has 12 steps"),
        ({"warmup_steps": 1000.0, "packing": True}, "has at most 12 steps"),
        ({"num_epochs": 1000.0, "batch_size": 1}, ""),
    ],
)
def test_a_warm_up_without_end_is_refused(changes, message):
    recipe = toy_recipe(**changes)
    if not message:
        sft_qlora.require_schedule(recipe, 12)
        return
    with pytest.raises(ValueError, match=message):
        sft_qlora.require_schedule(recipe, 12)
    sft_qlora.require_schedule(toy_recipe(warmup_steps=11.0), 12)


def test_a_training_of_years_is_refused():
    with pytest.raises(ValueError, match="num_epochs: 250000000 steps would take years"):
        sft_qlora.require_schedule(toy_recipe(num_epochs=1000.0), 500_000)


ARTICLE = {
    "id": "a",
    "title": "T",
    "sections": [{"heading": "", "text": "Words."}],
    "group": "gout",
}


@pytest.mark.parametrize(
    ("ids", "articles", "problem"),
    [
        (["gout/0", "gout/1"], 0, "all rows are of one article"),
        (["gout/0", "gout/1", "flu/0"], 0, "2 of 3 rows share their articles"),
        (["gout/0", "gout/1", "flu/0", "mumps/0"], 0, ""),
        (["gout/0", "gout/1", "flu/0"], 1, ""),  # how many rows an article gives is not known yet
        (["gout/0"], 1, "all rows are of one article"),
    ],
)
def test_rows_that_cannot_be_divided_are_refused_before_the_base_is_loaded(
    ids, articles, problem, project
):
    rows = [data.to_dict(make_dialogue(name)) | {"source": "article"} for name in ids]
    rows += [ARTICLE] * articles
    project.file("rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    recipe = toy_recipe(mixture={"rows.jsonl": 1.0}, validation_fraction=0.1)
    if not problem:
        sft_qlora.require_fitting_recipe(recipe)
        return
    with pytest.raises(ValueError, match=f"validation_fraction: {problem}"):
        sft_qlora.require_fitting_recipe(recipe)


def test_what_a_base_does_not_allow_is_refused_before_it_is_loaded(monkeypatch):
    monkeypatch.setenv(interruption.NOTICE, "soon")
    with pytest.raises(ValueError, match=f"{interruption.NOTICE}: 'soon' is no number"):
        sft_qlora.require_fitting_recipe(toy_recipe())
    monkeypatch.delenv(interruption.NOTICE)
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "fp16")
    with pytest.raises(ValueError, match="mixed precision fp16, but the base computes in bfloat16"):
        sft_qlora.require_fitting_recipe(toy_recipe(compute_dtype="bfloat16"))
    monkeypatch.delenv("ACCELERATE_MIXED_PRECISION")
    with torch.device("meta"):
        bloom = AutoModelForCausalLM.from_config(BASES["bloom"])
    monkeypatch.setattr(models, "build_skeleton", lambda _: bloom)
    with pytest.raises(ValueError, match="packing: bloom derives positions from the row"):
        sft_qlora.require_fitting_recipe(toy_recipe(packing=True))
