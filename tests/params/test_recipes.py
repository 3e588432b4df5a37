"""Published recipes as studies: every value has a source, and every recipe can be trained."""

import re

import pandas as pd
import pytest
from tests.support import toy_recipes

from clinical_camel import runs
from clinical_camel.core.paths import root
from clinical_camel.data import registry
from clinical_camel.estimate import sizes
from clinical_camel.estimate.shapes import SHAPES
from clinical_camel.eval_replies.settings import EvalReplies
from clinical_camel.reward_and_rl.settings import RewardAndRl

MARKS = ("published", "reference", "recalled", "ours")
OURS = {"colab_t4", "h100_8b"}  # recipes of no published system
TABLE = pd.read_csv(root() / "benchmarks" / "results" / "recipes.csv")
KINDS = ["clinical_camel_70b", "clinmed_llama3_8b", "clinicalgpt_7b", "h100_8b"]


def read_yaml(study, step="02_sft_qlora"):
    return (root() / f"params/{study}/{step}.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("study", "step"),
    [
        *((study, "02_sft_qlora") for study in sorted(set(toy_recipes.list_studies()) - OURS)),
        ("clinicalgpt_7b", "07_reward_and_rl"),
    ],
)
def test_every_value_of_a_published_recipe_has_a_source(study, step):
    text = read_yaml(study, step)
    values = [line for line in text.splitlines() if line and not line.startswith("#")]
    values = [
        line
        for line in values
        if not re.fullmatch(r"(study: .*|mixture:|adapter: outputs/.*)", line)
    ]
    unmarked = [line for line in values if not line.partition("  # ")[2].startswith(MARKS)]
    assert unmarked == []


def test_recalled_values_are_not_marked_as_published():
    """The paper does not state these values (systems.md, 1.3)."""
    for study in ("clinical_camel_13b", "clinical_camel_70b"):
        for name in ("lora_rank", "lora_alpha", "lora_targets", "learning_rate", "batch_size"):
            assert re.search(rf"(?m)^{name}: .*  # recalled", read_yaml(study)), name


def test_recalled_settings_of_reinforcement_learning_are_not_marked_as_published():
    """Lengths and the batch of the reward model are recalled, as are the scores (systems.md, 3)."""
    text = read_yaml("clinicalgpt_7b", "07_reward_and_rl")
    for name in ("max_new_tokens", "reward_batch_size", "reward_max_length"):
        (line,) = re.findall(rf"(?m)^{name}: .*", text)
        assert "recalled" in line
        assert "published" not in line
    header = read_yaml("clinicalgpt_7b", "08_eval_replies").partition("study:")[0]
    assert header.index("Published: these tasks. Recalled: BLEU") < header.index("GPT-4")


def test_the_sets_of_clinicalgpt_are_read_as_published():
    """Each has a reader, a size for `plan` and a row in recipes.md."""
    mixture = [*toy_recipes.load_recipe("clinicalgpt_7b").mixture]
    rewards = RewardAndRl(**runs.load_params("clinicalgpt_7b", "07_reward_and_rl"))
    replies = EvalReplies(**runs.load_params("clinicalgpt_7b", "08_eval_replies"))
    assert all(registry.find_source(spec.split("@")[0]).role == "train" for spec in mixture)
    assert all(sizes.find_size(spec) for spec in mixture)
    assert {*rewards.prompts, *replies.trained_on} < set(mixture)
    assert replies.questions == ["cmedqa2_test@data/public/clinicalgpt/answer.csv"]
    text = (root() / "docs/recipes.md").read_text(encoding="utf-8")
    for spec in (*mixture, *replies.consultations):
        assert f"`{spec}`" in text, spec


def test_the_table_has_every_recipe_and_each_was_trained_and_can_be_estimated():
    assert TABLE["study"].tolist() == (studies := toy_recipes.list_studies())
    assert {toy_recipes.load_recipe(study).model for study in studies} <= SHAPES.keys()
    assert (TABLE["steps"] >= 4).all()
    assert TABLE["last_loss"].between(0.1, 10).all()
    assert (TABLE["adapter_parameters"] > 0).all()


@pytest.mark.parametrize("study", KINDS)  # one of each architecture, int8 included
def test_a_recipe_trains_its_adapter_on_its_own_architecture(study, tmp_path):
    row = toy_recipes.try_recipe(study, tmp_path, steps=2)
    committed = TABLE.set_index("study").loc[study]
    assert row["adapter_parameters"] == committed["adapter_parameters"]
    assert row["architecture"] == committed["architecture"]
    assert 0 < row["target_share"] <= 1
    assert row["loss_on"] == toy_recipes.load_recipe(study).loss_on


@pytest.mark.parametrize("study", sorted(OURS))
def test_packed_rows_are_not_joined_with_those_of_a_batch(study):
    """TRL makes one row of the packed rows of a batch; a step has 16 of them."""
    recipe = toy_recipes.load_recipe(study)
    assert recipe.packing
    assert (recipe.batch_size, recipe.gradient_accumulation_steps) == (1, 16)


def test_packing_is_rejected_for_a_base_that_derives_positions_from_the_row(tmp_path):
    with pytest.raises(ValueError, match="packing: bloom derives positions from the row"):
        toy_recipes.try_recipe("clinicalgpt_7b", tmp_path, packing=True)
