"""mini_camel_raw is a fair control of mini_camel: other texts, as many target tokens."""

import pytest

from clinical_camel import data, models, sft_qlora
from clinical_camel.runner.jobs import load_job

STUDIES = ("mini_camel", "mini_camel_raw")


def test_the_control_has_as_many_target_tokens_as_the_study():
    def count_target_tokens(study):
        recipe = load_job(study, "02_sft_qlora").settings
        sources = {
            spec: data.load_training_rows(spec, share, recipe.seed)
            for spec, share in recipe.mixture.items()
        }
        tokenized = sft_qlora.tokenize_mixture(
            tokenizer, sources, recipe.loss_on, recipe.max_length
        )
        return tokenized.counts["target_tokens"].sum() * recipe.num_epochs

    tokenizer = models.load_tokenizer("mini")
    study, control = map(count_target_tokens, STUDIES)
    assert control == pytest.approx(study, rel=0.01)


def test_the_control_differs_from_the_study_only_in_its_texts():
    study, control = (load_job(study, "02_sft_qlora").params for study in STUDIES)
    assert {key for key in study if study[key] != control[key]} == {"study", "mixture"}
