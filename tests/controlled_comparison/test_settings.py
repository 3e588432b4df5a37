"""Tests of the settings of step 06."""

import pytest
import yaml
from tests.support.toy_comparison import REPOSITORY, SWEEP_FILE, make_design

from clinical_camel.controlled_comparison import settings
from clinical_camel.core.settings import SettingsError

SWEEPS = sorted(
    file.parent.name for file in REPOSITORY.glob("params/*/06_controlled_comparison.yaml")
)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"contrasts": ["dialogue-raw"]}, "contrasts: .* is no contrast"),
        ({"further_contrasts": ["qa"]}, "^settings: further_contrasts: .* is no contrast"),
        ({"further_contrasts": ["dialogue - qa"]}, "further_contrasts: .* one of contrasts, too"),
        ({"outcomes": {"x": "mini_exam"}, "forgetting": ""}, "outcomes.x: .* exam/protocol"),
        ({"outcomes": {"x": "a/b/c/d"}, "forgetting": ""}, "outcomes.x: d is not one of correct"),
        ({"forgetting": "primer exams"}, "forgetting: no such outcome.*primer exam"),
        ({"scaling": {"x": ["raw"]}}, "scaling.x: a curve needs two arms"),
        ({"other_points": {"x": "raw"}}, 'other_points.x: "raw" is no arm; write sweep/arm'),
        (
            {"scaling": {"x": ["raw", "dialogue"]}, "other_points": {"x": "a/raw"}},
            "other_points.x: scaling has a curve of this name",
        ),
        ({"alpha": 0.9}, "alpha"),
    ],
)
def test_bad_settings_are_refused_with_their_key(changed, message):
    with pytest.raises(SettingsError, match=message):
        make_design(**changed)


def test_an_arm_that_the_sweep_lacks_is_refused(project):
    project.file("params/toy_sweep/sweep.yaml", SWEEP_FILE)
    make_design()
    with pytest.raises(SettingsError, match="overlap_arm: toy_sweep has no arm dialog.*dialogue"):
        make_design(overlap_arm="dialog")
    message = "further_contrasts: toy_sweep has no arm placebo; known: dialogue, raw, qa"
    with pytest.raises(SettingsError, match=message):
        make_design(further_contrasts=["dialogue - placebo"])
    make_design(further_contrasts=[])


def test_the_first_outcome_is_primary():
    assert make_design().primary == "plain question"
    assert settings.split_outcome("mini_exam/option_text/open_book").variant == "open_book"


def test_the_default_contrasts_are_those_of_the_main_sweep():
    file = REPOSITORY / "params/dbke_effect/06_controlled_comparison.yaml"
    params = yaml.safe_load(file.read_text(encoding="utf-8"))
    design = settings.Comparison.require(params)
    assert design.further_contrasts == settings.Comparison().further_contrasts


@pytest.mark.parametrize("sweep", SWEEPS)
def test_what_each_contrast_of_a_sweep_isolates_is_written_down(sweep):
    file = REPOSITORY / "params" / sweep / "06_controlled_comparison.yaml"
    params = yaml.safe_load(file.read_text(encoding="utf-8"))
    pairs = map(settings.split_contrast, params["contrasts"] + params["further_contrasts"])
    assert set(pairs) <= set(settings.ISOLATES)
