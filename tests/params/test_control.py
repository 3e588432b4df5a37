"""mini_camel_raw and mini_camel_llm are fair controls: other texts, as many target tokens."""

import pytest

from clinical_camel import data, models, sft_qlora
from clinical_camel.core.paths import root
from clinical_camel.runner.jobs import load_job

STUDY, CONTROLS = "mini_camel", ("mini_camel_raw", "mini_camel_llm")
each_control = pytest.mark.parametrize("control", CONTROLS)


def count_target_tokens(study, tokenizer):
    recipe = load_job(study, "02_sft_qlora").settings
    sources = {
        spec: data.load_training_rows(spec, share, recipe.seed)
        for spec, share in recipe.mixture.items()
    }
    tokenized = sft_qlora.tokenize_mixture(tokenizer, sources, recipe.loss_on, recipe.max_length)
    return tokenized.counts["target_tokens"].sum() * recipe.num_epochs


@each_control
def test_the_control_has_as_many_target_tokens_as_the_study(control):
    dialogues = f"outputs/{control}/01_dbke/dialogues.jsonl"
    recipe = load_job(control, "02_sft_qlora").settings
    if dialogues in recipe.mixture and not (root() / dialogues).exists():
        pytest.skip(f"{control} has not run: no {dialogues}")
    tokenizer = models.load_tokenizer("mini")
    tokens = count_target_tokens(control, tokenizer)
    assert tokens == pytest.approx(count_target_tokens(STUDY, tokenizer), rel=0.01)


@each_control
def test_the_control_differs_from_the_study_only_in_its_texts(control):
    ours, others = (load_job(study, "02_sft_qlora").params for study in (STUDY, control))
    assert {key for key in ours if ours[key] != others[key]} == {"study", "mixture"}
