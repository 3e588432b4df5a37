"""Tests of the sentences on what could mislead, and on what a comparison does not show."""

import pandas as pd
from tests.support.toy_comparison import make_design

from clinical_camel.controlled_comparison import scope

STABLE = {"is_unstable": False}
RUNS = pd.DataFrame({"arm": ["dialogue", "raw", "qa"], "data_seed": 3, "training_seed": 3})


def test_what_could_mislead_depends_on_rates_and_data_seeds():
    text = scope.describe_threats(make_design(rate_sweep="toy_rates"), RUNS)
    assert "Each primary arm has its own learning rate" in text
    assert "All pairs have the same texts" in text
    several = RUNS.assign(data_seed=[0, 1, 2])
    text = scope.describe_threats(make_design(), several)
    assert "This sweep compares no learning rates" in text
    assert "Each pair of seeds has other texts and trainings" in text


def test_the_scope_names_who_wrote_the_texts_and_the_size_of_the_base_model():
    trainings = pd.DataFrame({"parameters": [1_115_264, 134_515_008], **STABLE})
    rules = scope.describe_scope(make_design(), trainings, {"extractive"}, pd.DataFrame())
    assert rules[0].startswith("Rules wrote the dialogues.")
    assert "The base models have 1.1 and 134.5 million parameters" in rules[1]
    design = make_design(has_verdict=False)
    written = scope.describe_scope(design, trainings, {"replay"}, pd.DataFrame())
    assert written[0].startswith("A language model wrote the texts once")
    assert (
        written[-1] == "This sweep reports intervals and draws no verdict (`has_verdict: false`)."
    )


def test_an_unstable_training_is_named():
    trainings = pd.DataFrame({"arm": ["raw", "raw"], "seed": ["0, 0", "0, 1"], "parameters": 1e6})
    trainings = trainings.assign(is_unstable=[False, True], highest_gradient_later=741.3)
    trainings = trainings.assign(highest_loss_start=3.0, highest_loss_later=10.4)
    texts = scope.describe_scope(make_design(), trainings, {"extractive"}, pd.DataFrame())
    assert texts[-1].startswith("1 of 2 trainings were unstable: after the first tenth of the st")
    assert texts[-1].endswith(
        "Highest values after the start: `raw` (0, 1): gradient norm 741, loss 10.4 (start: 3.0)."
    )


def test_a_chosen_rate_at_the_end_of_those_that_were_tried_is_named():
    rates = pd.DataFrame({"arm": ["dialogue"] * 3 + ["raw"] * 3 + ["unmasked"] * 3 + ["qa"]})
    rates = rates.assign(learning_rate=[2e-3, 4e-3, 8e-3] * 3 + [4e-3])
    rates = rates.assign(is_chosen=[*[False] * 2, True, False, True, *[False] * 3, True, True])
    trainings = pd.DataFrame({"parameters": [1_115_264], **STABLE})
    texts = scope.describe_scope(make_design(), trainings, {"extractive"}, rates)
    assert texts[-2:] == [
        "For `dialogue` and `unmasked`, the chosen learning rate is the highest that was tried, so "
        "a higher one may be better.",
        "An arm for which several rates were not tried has a rate chosen for another arm.",
    ]
