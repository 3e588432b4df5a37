"""Tests of the reading of a sweep's runs."""

import dataclasses
import json
import shutil
from types import SimpleNamespace

import pandas as pd
import pytest
from tests.support import toy_comparison
from tests.support.toy_comparison import CONDITIONS, find_copied, list_questions, make_design

from clinical_camel.controlled_comparison import overlaps, reading, summary
from clinical_camel.controlled_comparison.settings import ALL
from clinical_camel.core.settings import Incomplete


@pytest.fixture(scope="module")
def answers(sweep):
    return reading.read_answers(sweep, make_design())


def test_every_run_of_the_sweep_is_complete(sweep):
    table = reading.tabulate_runs(sweep)
    assert list(table["arm"]) == ["dialogue", "raw", "qa"] * 2
    assert set(table["status"]) == {"complete"}
    assert reading.warn_missing(table, make_design()) == ""


def test_answers_of_each_arm_and_seed_are_read_with_their_condition(answers):
    plain = answers[answers["outcome"] == "plain question" + ALL]
    counts = plain.groupby(["arm", "seed"]).size()
    assert dict(counts) == {("base", "-"): 48} | {
        (arm, seed): 48 for arm in ("dialogue", "qa", "raw") for seed in ("0, 0", "1, 1")
    }
    assert plain["condition"].nunique() == CONDITIONS
    assert set(plain["chance"]) == {0.25}


def test_overlapping_questions_are_excluded_in_all_arms_and_formats_of_the_primary_exam(answers):
    excluded = find_copied().id
    with_it = answers[answers["id"] == excluded]
    assert set(with_it["outcome"]) == {"plain question" + ALL}
    assert answers.loc[answers["outcome"] == "primer exam", "id"].nunique() == 48


def test_questions_that_the_base_model_answers_clearly_are_excluded_in_all_arms(sweep):
    """Its correct answers in the toy sweep have a margin of 2 nats."""
    every = reading.read_answers(sweep, make_design())
    base = every[(every["arm"] == "base") & (every["outcome"] == "plain question")]
    right = set(base.loc[base["score"] == 1, "id"])
    rest = reading.read_answers(sweep, make_design(base_margin=1.9))
    plain = rest[rest["outcome"] == "plain question"]
    assert right
    assert set(plain["id"]) == set(base["id"]) - right
    assert set(plain["arm"]) == {"base", "dialogue", "qa", "raw"}
    assert len(reading.read_answers(sweep, make_design(base_margin=2.1))) == len(every)
    text = summary.describe_exclusions(
        rest, overlaps.find_overlaps(sweep, make_design()), {}, make_design(base_margin=1.9)
    )
    assert f"Another {len(right)} are excluded because the base model answers them" in text


def test_the_excluded_questions_are_those_that_are_not_read(sweep):
    design = make_design(base_margin=1.9)
    answers = reading.read_answers(sweep, design)
    every, used = (
        set(answers.loc[answers["outcome"] == name, "id"])
        for name in ("plain question" + ALL, "plain question")
    )
    assert set(reading.list_excluded(sweep, design)["id"]) == every - used


def test_the_excluded_questions_are_listed_before_any_tuned_run(tmp_path, monkeypatch):
    runs = toy_comparison.build(tmp_path, monkeypatch)
    for run in runs:
        if run.arm == "dialogue":  # step 01 has run, nothing else
            for step in (reading.TRAINING, reading.EXAM):
                shutil.rmtree(run.folders[step])
    design = make_design(base_margin=1.9)
    table = reading.list_excluded(runs, design)
    by_reason = table.groupby("reason")["id"].agg(set).to_dict()
    raw = next(run for run in runs if run.arm == "raw")
    assert by_reason == {
        "overlap": {find_copied().id},
        "answered by the base": reading.list_answered_by_base([raw], design),
    }


def test_a_margin_of_the_base_model_needs_its_answers(sweep, monkeypatch):
    monkeypatch.setattr(reading, "_name_arms", lambda run: {"tuned": run.arm})
    with pytest.raises(Incomplete, match="base_margin: no complete run has answers of the base"):
        reading.read_answers(sweep, make_design(base_margin=1.0))


@pytest.fixture
def change_answers(sweep):
    """A function that changes the answers of all runs; they are restored after the test."""
    files = [run.folders[reading.EXAM] / "answers.csv" for run in sweep]
    before = {file: file.read_text(encoding="utf-8") for file in files}

    def change(function):
        for file in files:
            function(pd.read_csv(file)).to_csv(file, index=False)

    yield change
    for file, text in before.items():
        file.write_text(text, encoding="utf-8")


def test_the_margin_of_the_base_model_is_that_with_the_fewest_examples(sweep, change_answers):
    """With five examples, the base model knows everything."""
    design = make_design(base_margin=1.9)
    zero_shot = reading.list_answered_by_base(sweep, design)

    def add_five_shot(table):
        logprobs = [
            " ".join("-1" if i == answer else "-9" for i in range(4)) for answer in table["answer"]
        ]
        return pd.concat([table, table.assign(num_shots=5, logprobs=logprobs)])

    change_answers(add_five_shot)
    assert reading.list_answered_by_base(sweep, design) == zero_shot


def test_a_question_beyond_the_context_has_no_margin(sweep, change_answers):
    design, question = make_design(base_margin=1.9), list_questions()[3].id
    rest = reading.list_answered_by_base(sweep, design) - {question}

    def remove_logprobs(table):
        is_long = table["id"] == question
        return table.assign(fits=~is_long, logprobs=table["logprobs"].mask(is_long))

    change_answers(remove_logprobs)
    assert reading.list_answered_by_base(sweep, design) == rest


def test_an_arm_without_a_score_has_no_chosen_rate(sweep, change_answers):
    change_answers(lambda table: table.assign(fits=table["model"] == "base"))
    rates = reading.read_rates(sweep, ["dialogue", "raw", "qa"], make_design())
    assert rates[["accuracy", "low", "high"]].isna().all(axis=None)
    assert not rates["is_chosen"].any()


def test_an_outcome_may_measure_the_probability_or_the_format_of_an_answer(answers):
    scores = answers.groupby("outcome")["score"].unique()
    assert sorted(scores["probability"]) == pytest.approx([0.25, 0.75])
    assert list(scores["format"]) == [1.0]
    assert answers.loc[answers["outcome"] == "format", "chance"].isna().all()


def test_an_outcome_that_no_run_has_is_left_out(answers):
    assert "reversed" not in set(answers["outcome"])


def test_a_run_that_is_not_complete_is_named_and_not_used(sweep):
    file = sweep[1].folders[reading.TRAINING] / "run.json"
    before = file.read_text()
    file.write_text(json.dumps(json.loads(before) | {"status": "running"}))
    try:
        table = reading.tabulate_runs(sweep)
        assert table.loc[1, ["status", "reason"]].tolist() == ["missing", "02_sft_qlora is running"]
        assert reading.require_runs(sweep, "toy_sweep") == [sweep[0], *sweep[2:]]
        assert reading.warn_missing(table, make_design()) == (
            "Preliminary, because runs are missing: raw (1 of 2 pairs of seeds). "
        )
    finally:
        file.write_text(before)


def test_a_run_without_its_answers_is_named(sweep):
    file = sweep[0].folders[reading.EXAM] / "answers.csv"
    file.rename(file.with_suffix(".away"))
    try:
        assert reading.check_run(sweep[0]) == "03_eval_fewshot has no answers.csv"
    finally:
        file.with_suffix(".away").rename(file)


@pytest.fixture
def diverged(tmp_path, monkeypatch):
    """Return the runs of a toy sweep; the training of the second one, arm `raw`, diverged."""
    runs = toy_comparison.build(tmp_path, monkeypatch)
    toy_comparison.write_divergence(runs[1])
    return runs


def test_a_training_that_diverged_has_ended_and_its_seeds_are_not_used(diverged):
    table = reading.tabulate_runs(diverged)
    reason = "grad_norm is nan at step 7 of 798"
    assert table.loc[1, ["status", "reason"]].tolist() == ["diverged", reason]
    assert reading.warn_missing(table, make_design()) == ""
    complete = reading.require_runs(diverged, "toy_sweep")
    answers = reading.read_answers(complete, make_design())
    assert set(answers.loc[answers["arm"] == "raw", "seed"]) == {"1, 1"}


def test_a_training_that_failed_otherwise_or_with_other_settings_is_missing(diverged):
    toy_comparison.write_divergence(diverged[1], "In [5]: OSError: no space left on device")
    assert reading.find_divergence(diverged[1]) == ""
    toy_comparison.write_divergence(diverged[1])
    diverged[1].params["02_sft_qlora"]["learning_rate"] = 1e-3
    assert reading.tabulate_runs(diverged).loc[1, "status"] == "missing"


def test_a_question_that_one_run_could_not_read_is_excluded_for_all(sweep):
    file = sweep[0].folders[reading.EXAM] / "answers.csv"
    before, question = file.read_text(), list_questions()[3].id
    table = pd.read_csv(file)
    table.loc[(table["id"] == question) & (table["protocol"] == "option_text"), "fits"] = False
    table.to_csv(file, index=False)
    try:
        answers = reading.read_answers(sweep, make_design())
        with_it = answers.loc[answers["id"] == question, "outcome"]
        assert set(with_it) == {"conversation", "probability", "format"}
    finally:
        file.write_text(before)


def test_a_sweep_without_a_complete_run_is_refused():
    with pytest.raises(Incomplete, match="run toy_sweep"):
        reading.require_runs([], "toy_sweep")


def test_the_rate_with_the_highest_accuracy_is_chosen(sweep):
    rates = reading.read_rates(sweep, ["dialogue", "raw", "qa"], make_design())
    assert set(rates["n"]) == {47}  # without the question that overlaps
    assert set(rates["seeds"]) == {2}
    assert (rates["low"] < rates["accuracy"]).all()
    assert (rates["accuracy"] < rates["high"]).all()
    assert (rates["high"] - rates["low"]).max() < 0.5  # of questions, not of two trainings
    trainings = pd.DataFrame({"arm": ["raw"], "learning_rate": [4e-3]})
    assert reading.check_rates(rates, trainings) == ["raw: trained with 0.004, chosen: 0.002"]
    with pytest.raises(
        Incomplete, match=r"raw: trained with 0.004, chosen: 0.002; write the chosen"
    ):
        reading.require_rates(rates, trainings)
    reading.require_rates(rates, trainings.assign(learning_rate=2e-3))


def test_a_run_with_other_settings_than_the_sweep_has_now_is_not_used(sweep):
    run = sweep[0]
    changed = {**run.params, reading.TRAINING: {**run.params[reading.TRAINING], "num_epochs": 99.0}}
    other = dataclasses.replace(run, params=changed)
    assert reading.check_run(run) == ""
    assert reading.check_run(other) == "02_sft_qlora was run with other settings: num_epochs"


def test_of_two_rates_that_with_the_higher_accuracy_is_chosen(sweep):
    """The runs of `dialogue` are better than those of `raw`; here both are one arm, two rates."""
    runs = [dataclasses.replace(run, arm=f"x_{run.arm}") for run in sweep if run.arm != "qa"]
    rates = reading.read_rates(runs, ["x"], make_design()).set_index("learning_rate")
    assert rates["is_chosen"].to_dict() == {0.002: False, 0.004: True}
    assert set(rates["arm"]) == {"x"}


def test_no_rate_is_chosen_while_a_run_of_the_arm_is_missing(sweep):
    params = {step: {**p, "study": "toy_sweep/absent"} for step, p in sweep[0].params.items()}
    absent = dataclasses.replace(sweep[0], arm="raw_8e3", params=params)
    rates = reading.read_rates([*sweep, absent], ["dialogue", "raw", "qa"], make_design())
    assert set(rates[rates["is_chosen"]]["arm"]) == {"dialogue", "qa"}
    trainings = pd.DataFrame({"arm": [], "learning_rate": []})
    assert reading.check_rates(rates, trainings) == ["raw: 1 runs are missing"]


def test_a_rate_with_a_training_that_diverged_is_not_chosen(sweep, monkeypatch):
    runs = [dataclasses.replace(run, arm=f"x_{run.arm}") for run in sweep if run.arm != "qa"]
    lost = dataclasses.replace(runs[0], arm="x_dialogue", data_seed=99)
    monkeypatch.setattr(reading, "find_divergence", lambda r: "nan" if r.data_seed == 99 else "")
    rates = reading.read_rates([*runs, lost], ["x"], make_design()).set_index("learning_rate")
    assert rates["is_chosen"].to_dict() == {0.002: True, 0.004: False}
    assert set(rates["missing"]) == {0}


def test_the_specialty_of_a_condition_is_the_group_of_its_article():
    assert reading.load_specialties("mini_articles")["stable angina"] == "cardiology"
    assert reading.load_specialties("") == {}


@pytest.mark.parametrize(("arm", "expected"), [("raw", "base"), ("base_4m", "base_4m")])
def test_base_models_of_several_sizes_are_arms_of_their_own(arm, expected, tmp_path, monkeypatch):
    run = SimpleNamespace(arm=arm, folders={reading.TRAINING: tmp_path / f"{arm}_d0_t0/02"})
    own = f"outputs/sweep/{arm}_d0_t0/02/adapter"
    record = {"params": {"adapters": {"before": "", "tuned": own}}}
    monkeypatch.setattr(reading, "read_record", lambda *_: record)
    if arm == "base_4m":
        with pytest.raises(Incomplete, match="base_4m: its model has an adapter, but arms whose"):
            reading._name_arms(run)
        del record["params"]["adapters"]["tuned"]
        assert reading._name_arms(run) == {"before": "base_4m"}
    else:
        assert reading._name_arms(run) == {"before": expected, "tuned": arm}
    assert [reading.is_base(name) for name in ("base", "base_4m", "baseline")] == [
        True,
        True,
        False,
    ]
