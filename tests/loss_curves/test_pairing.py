"""Tests of loss_curves.pairing: each score with the loss of its own training."""

import json
import math

import pandas as pd
import pytest
from tests.support.toy_scores import table_of

from clinical_camel import loss_curves
from clinical_camel.loss_curves.pairing import find_training

LOGS = {s: f"outputs/{s}/02_sft_qlora/train_log.csv" for s in ("talks", "raw_study")}
ADAPTERS = {s: f"outputs/{s}/02_sft_qlora/adapter" for s in LOGS}
LOSS = {"talks": 0.116, "raw_study": 0.078}
FOLDERS = {
    "talks": {"base": "", "tuned": ADAPTERS["talks"]},
    "raw_study": {"base": "", "raw": ADAPTERS["raw_study"], "dialogues": ADAPTERS["talks"]},
}
BASES = dict.fromkeys(LOGS, "mini")


def stacked():
    logs = {
        study: pd.DataFrame(
            {"step": [1, 2], "fraction": [0.5, 1.0], "loss": [3.0, loss], "learning_rate": 0.1}
        ).assign(tokens=1)
        for study, loss in LOSS.items()
    }
    return loss_curves.stack_logs(logs, 0.01)


TABLES = {
    "talks": table_of(base=0.24, tuned=0.654),
    "raw_study": table_of(base=0.24, raw=0.481, dialogues=0.654),
}


def pairs():
    return loss_curves.pair_scores(stacked(), TABLES, FOLDERS, BASES, LOGS)


def test_every_score_has_the_loss_of_its_own_training():
    losses = pairs().groupby(["study", "model"], sort=False)["last_loss"].first().to_dict()
    assert losses["raw_study", "dialogues"] == losses["talks", "tuned"] == 0.116
    assert losses["raw_study", "raw"] == 0.078
    assert math.isnan(losses["talks", "base"])
    assert math.isnan(losses["raw_study", "base"])
    assert set(pairs().loc[lambda t: t["model"] == "base", "training"]) == {""}


def test_a_model_whose_log_is_not_compared_has_no_loss():
    only = {"raw_study": LOGS["raw_study"]}
    table = loss_curves.pair_scores(stacked(), TABLES, FOLDERS, BASES, only).set_index("model")
    assert (table.loc["dialogues", "training"] == "").all()
    assert table.loc["dialogues", "last_loss"].isna().all()
    assert (table.loc["raw", "last_loss"] == 0.078).all()


def test_without_a_run_record_no_loss_is_guessed(tmp_path):
    assert loss_curves.read_adapters(tmp_path / "scores.csv") == {}
    table = loss_curves.pair_scores(stacked(), TABLES, {}, {}, LOGS)
    assert table["last_loss"].isna().all()


def test_the_adapters_of_a_table_are_those_of_its_run_record(tmp_path):
    record = {"params": {"adapters": FOLDERS["raw_study"], "model": "mini"}}
    (tmp_path / "run.json").write_text(json.dumps(record))
    assert loss_curves.read_adapters(tmp_path / "scores.csv") == FOLDERS["raw_study"]
    assert loss_curves.read_base(tmp_path / "scores.csv") == "mini"


@pytest.mark.parametrize(
    ("adapter", "training"),
    [
        ("outputs/talks/02_sft_qlora/adapter", "talks"),
        ("outputs/talks/02_sft_qlora/checkpoint-20/adapter", "talks"),
        ("outputs/talks_2/02_sft_qlora/adapter", ""),
        ("my/adapter", ""),
        ("", ""),
    ],
)
def test_a_training_is_found_by_its_folder(adapter, training):
    assert find_training(adapter, LOGS) == training


def test_the_page_has_one_row_per_model_in_percent_and_fewer_than_eight_columns():
    table = loss_curves.tabulate_scores(pairs())
    first = ["exam", "model", "training", "last loss"]
    assert list(table) == [*first, "option_text", "chat", "letter"]
    assert table["model"].tolist() == ["base", "raw", "dialogues"]
    assert table["last loss"].tolist() == ["", "0.078", "0.116"]
    assert table.loc[2, "option_text"] == "65.4 [60.4, 70.4]"
    text = loss_curves.describe_scores_shown(pairs())
    assert "0-shot (left out: 5-shot" in text
    assert "`summary.csv` has all 40 scores)" in text
    assert text.endswith(
        "`tuned` of talks is the same model as `dialogues` of raw_study and is "
        "shown under this name."
    )
    alone = pairs().query("study == 'raw_study'")
    assert "same model" not in loss_curves.describe_scores_shown(alone)
    assert "exam (n = 300, chance 25 %)" in text


def test_two_base_models_are_two_rows_even_with_equal_scores():
    bases = {"talks": "mini", "raw_study": "smollm2_135m"}
    table = loss_curves.tabulate_scores(
        loss_curves.pair_scores(stacked(), TABLES, FOLDERS, bases, LOGS)
    )
    untuned = table[table["model"] == "base"]
    assert untuned["base"].tolist() == ["mini", "smollm2_135m"]
    assert len(set(untuned["option_text"])) == 1


@pytest.mark.parametrize(
    ("text", "epochs"),
    [('{"params": {"num_epochs": 6.0}}', 6.0), ('{"params": {}}', 1.0), ("", 1.0)],
)
def test_the_number_of_epochs_is_that_of_the_run_record(tmp_path, text, epochs):
    (tmp_path / "run.json").write_text(text)
    assert loss_curves.read_epochs(tmp_path / "train_log.csv") == epochs


def test_a_study_without_scores_has_an_empty_page():
    empty = loss_curves.pair_scores(stacked(), {}, {}, {}, LOGS)
    assert len(loss_curves.tabulate_scores(empty)) == 0
    assert "`scores` is empty" in loss_curves.describe_scores_shown(empty)
