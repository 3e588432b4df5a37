"""The model card of a study comes from its run records and tables."""

import json
import re

import pandas as pd
import pytest
from tests.support.project import skip_if_rerun

from clinical_camel import release
from clinical_camel.core.paths import root
from clinical_camel.release import model_card
from clinical_camel.runner.jobs import PlanError

OUTPUTS = root() / "outputs"


def test_the_committed_card_is_that_of_the_committed_runs():
    skip_if_rerun()
    committed = (OUTPUTS / "mini_camel" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert release.format_model_card("mini_camel") == committed


def test_a_card_has_warning_data_loss_energy_and_every_score_with_n_and_interval():
    card = release.format_model_card("mini_camel")
    record = json.loads((OUTPUTS / "mini_camel/02_sft_qlora/run.json").read_text(encoding="utf-8"))
    assert "**Research only: not for use in care.**" in card
    assert all(source["sha256"][:16] in card for source in record["notes"]["sources"])
    assert record["commit"] in card
    scores = [line for line in card.splitlines() if "-shot | " in line]
    assert all(line.count("[") == 2 and line.endswith("25% |") for line in scores)
    assert len(scores) == 12
    log = pd.read_csv(OUTPUTS / "mini_camel/02_sft_qlora/train_log.csv")
    first, last = (log["loss"].iloc[part].mean() for part in (slice(39), slice(-39, None)))
    assert f"| {first:.3f} |" in card
    assert f"| {last:.3f} |" in card
    assert "](02_sft_qlora/loss.png)" in card
    assert re.search(r"\d\.\d Wh \(", card)


def test_a_packaged_base_model_has_its_licence_its_original_and_what_differs():
    front = model_card._format_front("smollm2_135m")
    expected = "license: apache-2.0\nbase_model: HuggingFaceTB/SmolLM2-135M-Instruct\n"
    assert front == expected
    assert "Not the published bfloat16 weights" in model_card._describe_base("smollm2_135m")
    assert model_card._format_front("owner/x").endswith("base_model: owner/x\n")
    assert model_card._describe_base("mini") == model_card._describe_base("mini_4m") == ""
    assert model_card._format_front("mini_4m") == model_card._format_front("mini")


def test_a_study_without_its_runs_has_no_card():
    with pytest.raises(PlanError, match="02_sft_qlora is not complete; run it first"):
        release.format_model_card("clinical_camel_70b")
