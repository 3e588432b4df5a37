"""Published recipes as studies: every value says where it is from, and every one can be trained."""

import re

import pandas as pd
import pytest
import recipes

from clinical_camel import data, runs
from clinical_camel.estimate.shapes import SHAPES

MARKS = ("published", "reference", "recalled", "ours")
OURS = {"colab_t4", "h100_8b"}  # recipes of no published system
TABLE = pd.read_csv(recipes.HERE / "recipes.csv")
KINDS = ["clinical_camel_70b", "clinmed_llama3_8b", "clinicalgpt_7b", "h100_8b"]


@pytest.mark.parametrize("study", sorted(set(recipes.studies()) - OURS))
def test_every_value_of_a_published_recipe_says_where_it_is_from(study):
    text = (data.root() / f"params/{study}/02_sft_qlora.yaml").read_text(encoding="utf-8")
    values = [line for line in text.splitlines() if line and not line.startswith("#")]
    values = [line for line in values if not re.fullmatch(r"(study: .*|mixture:)", line)]
    unmarked = [line for line in values if not line.partition("  # ")[2].startswith(MARKS)]
    assert unmarked == []


def test_what_is_recalled_is_never_called_published():
    """The facts that only memory has (systems.md, 1.3): none of them stands as published."""
    for study in ("clinical_camel_13b", "clinical_camel_70b"):
        text = (data.root() / f"params/{study}/02_sft_qlora.yaml").read_text(encoding="utf-8")
        for name in ("lora_rank", "lora_alpha", "lora_targets", "learning_rate", "batch_size"):
            assert re.search(rf"(?m)^{name}: .*  # recalled", text), name


def test_the_table_has_every_recipe_and_each_was_trained():
    assert TABLE["study"].tolist() == recipes.studies()
    assert (TABLE["steps"] >= 4).all()
    assert TABLE["last_loss"].between(0.1, 10).all()
    assert (TABLE["adapter_parameters"] > 0).all()


@pytest.mark.parametrize("study", KINDS)  # one of each architecture; int8 among them
def test_a_recipe_trains_its_adapter_on_its_own_architecture(study, tmp_path, monkeypatch):
    monkeypatch.setattr(recipes, "STEPS", 2)
    row = recipes.try_recipe(study, tmp_path)
    committed = TABLE.set_index("study").loc[study]
    assert row["adapter_parameters"] == committed["adapter_parameters"]
    assert row["architecture"] == committed["architecture"]
    assert 0 < row["trained_share"] <= 1
    assert row["loss_on"] == runs.load_params(study, "02_sft_qlora")["loss_on"]


@pytest.mark.parametrize("study", recipes.studies())
def test_a_recipe_can_be_planned_before_its_base_is_downloaded(study):
    assert runs.load_params(study, "02_sft_qlora")["model"] in SHAPES


def test_an_unknown_base_says_where_to_add_it():
    with pytest.raises(LookupError, match="add it to BASES"):
        recipes.base_of("somebody/model")


def test_a_base_that_counts_positions_by_the_row_is_never_packed(tmp_path, monkeypatch):
    plain = runs.load_params
    monkeypatch.setattr(runs, "load_params", lambda *study: plain(*study) | {"packing": True})
    with pytest.raises(ValueError, match="bloom finds a token's position by counting the row"):
        recipes.try_recipe("clinicalgpt_7b", tmp_path)
