"""The runs of a sweep, read into tables: answers, trainings, learning rates.

A run is one arm with one pair of seeds. Its results are those of the steps 02 and 03; step 02 names
the texts of step 01 in its mixture. A run that is missing or not complete is named, not used. A
training that diverged has ended, and is not missing.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from clinical_camel import data
from clinical_camel.controlled_comparison.overlaps import find_overlaps, search_runs
from clinical_camel.controlled_comparison.settings import (
    ALL,
    Comparison,
    split_outcome,
)
from clinical_camel.core.files import read_json
from clinical_camel.core.settings import DIVERGED, Incomplete, changed_settings
from clinical_camel.two_way import estimate_mean

BASE, BASE_SEED = "base", "-"  # the arm of the model before tuning; of several sizes: base_4m
DATA, TRAINING, EXAM = "01_dbke", "02_sft_qlora", "03_eval_fewshot"
TEXTS = f"{DATA}/dialogues.jsonl"  # the texts on the conditions, in the form of the arm
FILES = {TRAINING: ("mixture.csv", "parameters.csv", "train_log.csv")}
FILES[EXAM] = ("answers.csv", "scores.csv")
COMPLETE, ENDED, MISSING = "complete", "diverged", "missing"  # the status of a run
KEY = ["benchmark", "protocol", "variant"]
OVERLAP, ANSWERED = "overlap", "answered by the base"  # why a question is not used
READ = {*KEY, "num_shots", "model", "id", "fits", "correct", "correct_norm", "contains", "complete"}
READ |= {"answer_logprob", "answer_tokens"}  # columns of answers.csv; the last four may be missing
ANSWER_COLUMNS = ["arm", "seed", "outcome", "id", "condition", "score", "chance"]
RATE_KEY = ["arm", "learning_rate"]
RATE_COLUMNS = ["arm", "learning_rate", "n", "seeds", "accuracy", "low", "high", "missing"]
RATE_COLUMNS += ["is_chosen"]


class SweepRun(Protocol):
    """A run of a sweep, as `runs.list_runs` lists it; parameters and result folders by step."""

    arm: str
    data_seed: int  # of step 01
    training_seed: int  # of the later steps
    params: Mapping[str, Any]

    @property
    def folders(self) -> Mapping[str, Path]: ...


def name_seeds(run: SweepRun) -> str:
    """Return a name for the pair of seeds: runs of two arms with the same pair are compared."""
    return f"{run.data_seed}, {run.training_seed}"


def read_record(run: SweepRun, step: str) -> dict[str, Any]:
    """Return the run.json of a step; {} if there is none."""
    return read_json(run.folders[step] / "run.json") if step in run.folders else {}


def check_run(run: SweepRun) -> str:
    """Return why a run cannot be used; "" if it can."""
    if reason := find_divergence(run):
        return reason
    for step, files in FILES.items():
        record = read_record(run, step)
        if (status := record.get("status", "missing")) != "complete":
            return f"{step} is {status}"
        if changed := changed_settings(record["params"], run.params[step]):
            return f"{step} was run with other settings: {', '.join(changed)}"
        if absent := [name for name in files if not (run.folders[step] / name).is_file()]:
            return f"{step} has no {', '.join(absent)}"
    return ""


def find_divergence(run: SweepRun) -> str:
    """Return how the training of a run diverged; "" if it did not.

    The runner's record of step 02 has failed with the reason of `sft_qlora.guards.LossGuard`. The
    record of a training with other parameters does not count: that training starts anew.
    """
    record = read_json(run.folders[TRAINING].parent / ".records" / f"{TRAINING}.json")
    match = DIVERGED.search(str(record.get("reason")))
    if not match or record.get("status") != "failed":
        return ""
    if changed_settings(record["params"], run.params[TRAINING]):
        return ""
    return f"{match[2]} is {match[3]} at step {match[1]}"


def tabulate_runs(runs: Sequence[SweepRun]) -> pd.DataFrame:
    """Return one row per run: arm, data_seed, training_seed, status, reason."""
    rows = []
    for run in runs:
        reason = check_run(run)
        status = ENDED if find_divergence(run) else MISSING if reason else COMPLETE
        rows.append([run.arm, run.data_seed, run.training_seed, status, reason])
    columns = ["arm", "data_seed", "training_seed", "status", "reason"]
    return pd.DataFrame(rows, columns=columns)


def warn_missing(status: pd.DataFrame, design: Comparison) -> str:
    """Return "Preliminary" and how many runs the arms of the primary contrasts lack; "" for none.

    `status` is the table of `tabulate_runs`. A training that diverged has ended.
    """
    parts = []
    for arm in design.primary_arms:
        is_missing = status.loc[status["arm"] == arm, "status"] == MISSING
        if is_missing.any():
            parts.append(f"{arm} ({is_missing.sum()} of {len(is_missing)} pairs of seeds)")
    return f"Preliminary, because runs are missing: {', '.join(parts)}. " if parts else ""


def require_runs(runs: Sequence[SweepRun], sweep: str) -> list[SweepRun]:
    """Return the complete runs. Raises Incomplete if there is none."""
    complete = [run for run in runs if not check_run(run)]
    if not complete:
        first = f"; the first is {runs[0].arm}: {check_run(runs[0])}" if runs else ""
        raise Incomplete(
            f"no run of the sweep {sweep} is complete ({len(runs)} runs{first}); "
            f"execute python -m clinical_camel run {sweep}"
        )
    return complete


# -------------------------------------------------------------------------------------- answers


def read_answers(runs: Sequence[SweepRun], design: Comparison) -> pd.DataFrame:
    """Return every answer of every outcome, ANSWER_COLUMNS; zero-shot, if the run has it.

    `score` is 1.0 or 0.0, or the measure of the outcome; `chance` is that of step 03. The arm
    `base` has the answers of the model before tuning, with seed "-". The outcomes on the
    primary exam have only the questions that `list_excluded` does not name; the primary outcome
    with ALL after its name has every question. A question without a score in one run, because it
    exceeds the context, is excluded for all. An outcome that no run has gives no row.
    """
    conditions = load_conditions(runs)
    frames = [_read_run_answers(run, design.outcomes, conditions) for run in runs]
    answers = pd.concat(frames, ignore_index=True)
    answers = answers.drop_duplicates(["arm", "seed", "outcome", "id"])  # `base` of many runs
    questions = [answers["outcome"], answers["id"]]
    answers = answers[answers["score"].notna().groupby(questions).transform("all")]
    on_exam = [n for n, text in design.outcomes.items() if text.startswith(f"{design.exam}/")]
    is_excluded = answers["outcome"].isin(on_exam)
    is_excluded &= answers["id"].isin(list_excluded(runs, design)["id"])
    everything = answers[answers["outcome"] == design.primary]
    everything = everything.assign(outcome=design.primary + ALL)
    return pd.concat([answers[~is_excluded], everything], ignore_index=True)


def _read_run_answers(
    run: SweepRun, outcomes: Mapping[str, str], conditions: Mapping[tuple[str, str], str]
) -> pd.DataFrame:
    file = run.folders[EXAM] / "answers.csv"
    table = pd.read_csv(file, usecols=READ.__contains__, dtype={"id": str}, keep_default_na=False)
    table = table[table["num_shots"] == table["num_shots"].min()]
    table = table.assign(arm=table["model"].map(_name_arms(run)))
    table = table[table["arm"].notna()]
    scores = pd.read_csv(run.folders[EXAM] / "scores.csv", usecols=[*KEY, "num_shots", "chance"])
    chance = scores.groupby([*KEY, "num_shots"], as_index=False)["chance"].first()
    table = table.merge(chance, on=[*KEY, "num_shots"], how="left")
    exams = zip(table["benchmark"], table["id"], strict=True)
    table = table.assign(
        condition=[conditions.get(key, key[1]) for key in exams],
        seed=[BASE_SEED if is_base(arm) else name_seeds(run) for arm in table["arm"]],
    )
    frames = [table.assign(outcome="", score=0.0)[ANSWER_COLUMNS].head(0)]
    for name, text in outcomes.items():
        outcome = split_outcome(text)
        rows = table[(table[KEY] == list(outcome[:3])).all(axis=1)]
        if len(rows):
            rows = _measure(rows, outcome.measure).assign(outcome=name)
            rows["score"] = rows["score"].where(rows["fits"])
            frames.append(rows[ANSWER_COLUMNS])
    return pd.concat(frames, ignore_index=True)


def _measure(rows: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Return the answers of one outcome with `score`, from 0 to 1, and its chance."""
    if measure == "probability":
        columns = rows["answer_logprob"], rows["answer_tokens"]
        logprob, tokens = (pd.to_numeric(column, errors="coerce") for column in columns)
        return rows.assign(score=np.exp(logprob / tokens), chance=np.nan)
    score = rows[measure].astype(str).eq("True").astype(float)
    return rows.assign(score=score, chance=np.nan if measure == "complete" else rows["chance"])


def is_base(arm: str) -> bool:
    """Whether an arm is a model before tuning: `base`, or one of several sizes, as `base_4m`."""
    return arm == BASE or arm.startswith(f"{BASE}_")


def _name_arms(run: SweepRun) -> dict[str, str]:
    """Return the arm of each model that a run scored: its own adapter, and the base model."""
    own, adapters = run.folders[TRAINING].parent.name, read_record(run, EXAM)["params"]["adapters"]
    base = run.arm if is_base(run.arm) else BASE
    if base != BASE and any(adapters.values()):
        raise Incomplete(
            f"{run.arm}: its model has an adapter, but arms whose name begins with {BASE}_ are "
            "models before tuning; rename the arm in sweep.yaml"
        )
    arms = {model: base for model, folder in adapters.items() if not folder}
    return arms | {m: run.arm for m, folder in adapters.items() if own in Path(folder).parts}


def load_conditions(runs: Sequence[SweepRun]) -> dict[tuple[str, str], str]:
    """Return the condition of each question, by exam and id; a question without one is its own."""
    specs = {spec for run in runs for spec in read_record(run, EXAM)["params"]["benchmarks"]}
    questions = ((data.label(spec), q) for spec in specs for q in data.load_questions(spec))
    return {(benchmark, q.id): q.group or q.id for benchmark, q in questions}


def list_excluded(runs: Sequence[SweepRun], design: Comparison) -> pd.DataFrame:
    """Return the questions of the primary exam that are not used: id, reason.

    A question has a row per reason. OVERLAP: it resembles a training text (`find_overlaps`).
    ANSWERED: the base model answers it (`list_answered_by_base`). No tuned run is needed, only
    step 01 of the arm `overlap_arm` and, with a `base_margin`, one complete run with its answers.
    """
    ids = {
        OVERLAP: sorted({*find_overlaps(runs, design)["id"]}),
        ANSWERED: sorted(list_answered_by_base(runs, design)),
    }
    rows = [[question, reason] for reason, questions in ids.items() for question in questions]
    return pd.DataFrame(rows, columns=["id", "reason"], dtype=str)


def list_answered_by_base(runs: Sequence[SweepRun], design: Comparison) -> set[str]:
    """Return the ids of the questions of the primary outcome that the base model answers clearly.

    It gives the correct option a log-probability more than `base_margin` nats above that of every
    other option; with the fewest examples, as `read_answers`. Questions without log-probabilities,
    because they exceed the context, are none of them. Raises Incomplete if no run has
    log-probabilities of the base model.
    """
    if not design.base_margin:
        return set()
    outcome = list(split_outcome(design.outcomes[design.primary])[:3])
    for run in runs:
        if check_run(run):
            continue
        models = [model for model, arm in _name_arms(run).items() if is_base(arm)]
        columns = [*KEY, "num_shots", "model", "id", "fits", "answer", "logprobs"]
        names = dict.fromkeys([*KEY, "model", "id"], str)  # a name such as NA is no missing value
        table = pd.read_csv(
            run.folders[EXAM] / "answers.csv",
            usecols=columns,
            converters=names,
        )
        table = table[table["num_shots"] == table["num_shots"].min()]
        table = table[table["model"].isin(models) & (table[KEY] == outcome).all(axis=1)]
        table = table[table["fits"]].dropna(subset="logprobs")
        if len(table):
            margins = map(_find_margin, table["logprobs"], table["answer"])
            return {i for i, m in zip(table["id"], margins, strict=True) if m > design.base_margin}
    raise Incomplete(
        "base_margin: no complete run has answers of the base model with log-probabilities; run "
        "the arm base, or write 0.0"
    )


def _find_margin(logprobs: str, answer: int) -> float:
    """Return how much the correct option is above the best other one.

    >>> _find_margin("-3.5 -1 -2.25", 1)
    1.25
    """
    values = [float(value) for value in str(logprobs).split()]
    return values.pop(int(answer)) - max(values)


def load_specialties(articles: str) -> dict[str, str]:
    """Return the group of each article by its title in small letters; {} without articles."""
    if not articles:
        return {}
    return {a.title.casefold(): a.group for a in data.load_articles(articles) if a.group}


def read_rates(runs: Sequence[SweepRun], arms: Sequence[str], design: Comparison) -> pd.DataFrame:
    """Return the learning rates that were tried, a row each; RATE_COLUMNS.

    Each run is one of `arms` with one rate, scored on the development half; `raw_2e3` belongs to
    the arm `raw`. The accuracy is that of the first exam in the protocol of the primary outcome,
    averaged over seeds, without the questions that overlap with texts of the arm `overlap_arm`;
    `low` and `high`: for other diseases. The highest is chosen; of equals, the lowest rate. A rate
    with a training that diverged, or without a score, cannot be chosen. While a run of an arm is
    `missing`, no rate of this arm is chosen.
    """
    complete = [run for run in runs if not check_run(run)]
    exam = data.label(read_record(complete[0], EXAM)["params"]["benchmarks"][0])
    outcome = {"": f"{exam}/{split_outcome(design.outcomes[design.primary]).protocol}"}
    names = {run.arm: find_arm(run.arm, arms) for run in runs}
    tuned = [run for run in complete if names[run.arm] == design.overlap_arm]
    overlaps = search_runs(tuned, exam)
    missing = Counter(names[r.arm] for r in runs if check_run(r) and not find_divergence(r))
    diverged = {run.arm for run in runs if find_divergence(run)}
    conditions = load_conditions(complete)
    rows, scored = [], []
    for run in complete:
        answers = _read_run_answers(run, outcome, conditions)
        used = answers[(answers["arm"] == run.arm) & ~answers["id"].isin(overlaps["id"])]
        rate = read_record(run, TRAINING)["params"]["learning_rate"]
        score = used["score"].mean()
        rows.append([names[run.arm], rate, len(used), score, run.arm in diverged])
        scored.append(used.assign(arm=names[run.arm], learning_rate=rate))
    table = pd.DataFrame(rows, columns=["arm", "learning_rate", "n", "accuracy", "diverged"])
    groups = table.assign(seeds=1).groupby(RATE_KEY, as_index=False)
    table = groups.agg({"n": "mean", "seeds": "sum", "accuracy": "mean", "diverged": "max"})
    table = table.merge(_estimate_rates(pd.concat(scored), design), "left", RATE_KEY)
    table = table.assign(missing=table["arm"].map(missing).fillna(0).astype(int))
    usable = table[~table["diverged"] & (table["missing"] == 0)].dropna(subset="accuracy")
    best = usable.loc[usable.groupby("arm")["accuracy"].idxmax()].index
    return table.assign(is_chosen=table.index.isin(best))[RATE_COLUMNS]


def _estimate_rates(answers: pd.DataFrame, design: Comparison) -> pd.DataFrame:
    """Return the interval of the mean accuracy of each arm and rate: arm, learning_rate, low, high.

    Only diseases are resampled: so few trainings say little about other seeds.
    """
    means = answers.groupby([*RATE_KEY, "condition", "id"])["score"].mean().dropna()
    rows = []
    for key, scores in means.groupby(level=RATE_KEY):
        groups = scores.groupby(level="condition")
        sums, sizes = groups.sum().to_numpy()[:, None], groups.size().to_numpy()
        estimate = estimate_mean(sums, sizes, design.seed, design.resamples)
        rows.append([*key, max(estimate.low, 0.0), min(estimate.high, 1.0)])
    return pd.DataFrame(rows, columns=[*RATE_KEY, "low", "high"])


def find_arm(name: str, arms: Sequence[str]) -> str:
    """Return the arm that a name begins with: the longest one; the name for none.

    >>> find_arm("qa_shuffled_2e3", ["qa", "qa_shuffled"])
    'qa_shuffled'
    """
    matches = [arm for arm in arms if name == arm or name.startswith(f"{arm}_")]
    return max(matches, key=len, default=name)


def check_rates(rates: pd.DataFrame, trainings: pd.DataFrame) -> list[str]:
    """Return the arms without a chosen rate, and those that were not trained with it."""
    used = trainings.groupby("arm")["learning_rate"].unique()
    missing = rates[rates["missing"] > 0].drop_duplicates("arm")
    problems = [f"{row.arm}: {row.missing} runs are missing" for row in missing.itertuples()]
    return problems + [
        f"{row.arm}: trained with {', '.join(map(str, used[row.arm]))}, chosen: {row.learning_rate}"
        for row in rates[rates["is_chosen"]].itertuples()
        if row.arm in used and list(used[row.arm]) != [row.learning_rate]
    ]


def require_rates(rates: pd.DataFrame, trainings: pd.DataFrame) -> None:
    """Raise Incomplete, with the reasons, if arms were not trained with their chosen rates."""
    if problems := check_rates(rates, trainings):
        raise Incomplete(
            f"learning rates: {'; '.join(problems)}; write the chosen rates into sweep.yaml, and "
            "run the sweep of rates and this sweep again"
        )
