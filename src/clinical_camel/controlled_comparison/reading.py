"""The runs of a sweep, read into tables: answers, trainings, learning rates.

A run is one arm with one pair of seeds. Its results are those of the steps 02 and 03; step 02 names
the texts of step 01 in its mixture. A run that is missing or not complete is named, not used.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from clinical_camel import data
from clinical_camel.controlled_comparison.settings import ALL, Comparison, split_outcome
from clinical_camel.core.files import read_json
from clinical_camel.core.settings import Incomplete

BASE, BASE_SEED = "base", "-"  # the arm of the model before tuning
DATA, TRAINING, EXAM = "01_dbke", "02_sft_qlora", "03_eval_fewshot"
FILES = {TRAINING: ("mixture.csv", "train_log.csv"), EXAM: ("answers.csv", "scores.csv")}
KEY = ["benchmark", "protocol", "variant"]
READ = {*KEY, "num_shots", "model", "id", "fits", "predicted", "correct", "contains", "complete"}
READ |= {"answer_logprob", "answer_tokens"}  # columns of answers.csv; the last four may be missing
UNREAD = -1  # the prediction of a reply that names no option
ANSWER_COLUMNS = ["arm", "seed", "outcome", "id", "condition", "score", "is_read", "chance"]


class SweepRun(Protocol):
    """A run of a sweep, as `runs.list_runs` lists it: its arm, seeds, and results by step.

    `data_seed` is that of step 01, `training_seed` that of the later steps.
    """

    arm: str
    data_seed: int
    training_seed: int

    @property
    def folders(self) -> Mapping[str, Path]: ...


def name_seeds(run: SweepRun) -> str:
    """Return a name for the pair of seeds: runs of two arms with the same pair are compared."""
    return f"{run.data_seed}.{run.training_seed}"


def read_record(run: SweepRun, step: str) -> dict[str, Any]:
    """Return the run.json of a step; {} if there is none."""
    return read_json(run.folders[step] / "run.json") if step in run.folders else {}


def check_run(run: SweepRun) -> str:
    """Return why a run cannot be used; "" if it can."""
    for step, files in FILES.items():
        status = read_record(run, step).get("status", "missing")
        if status != "complete":
            return f"{step} is {status}"
        if absent := [name for name in files if not (run.folders[step] / name).is_file()]:
            return f"{step} has no {', '.join(absent)}"
    losses = pd.read_csv(run.folders[TRAINING] / "train_log.csv", usecols=["loss"])["loss"]
    return "" if np.isfinite(losses.iloc[-1]) else "the loss is not a number"


def tabulate_runs(runs: Sequence[SweepRun]) -> pd.DataFrame:
    """Return one row per run: arm, data_seed, training_seed, is_complete, reason."""
    rows = []
    for run in runs:
        seeds = {"data_seed": run.data_seed, "training_seed": run.training_seed}
        reason = check_run(run)
        rows.append({"arm": run.arm, **seeds, "is_complete": not reason, "reason": reason})
    columns = ["arm", "data_seed", "training_seed", "is_complete", "reason"]
    return pd.DataFrame(rows, columns=columns)


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

    `score` is 1.0 or 0.0, or the measure of the outcome; `is_read` is False for a written reply
    that names no option; `chance` is that of step 03. The arm `base` has the answers of the model
    before tuning, with seed "-". The outcomes on the primary exam have only the questions that do
    not overlap with training texts (`find_overlapping`); the primary outcome with ALL after its
    name has every question. An outcome that no run has gives no row.
    """
    conditions = load_conditions(runs)
    frames, has_base = [], False
    for run in runs:
        table = _read_run_answers(run, design.outcomes, conditions)
        is_base = table["arm"] == BASE
        frames.append(table if not has_base else table[~is_base])
        has_base = has_base or bool(is_base.any())
    answers = pd.concat(frames, ignore_index=True)
    exam = split_outcome(design.outcomes[design.primary]).benchmark
    on_exam = [n for n, text in design.outcomes.items() if split_outcome(text).benchmark == exam]
    is_excluded = answers["outcome"].isin(on_exam)
    is_excluded &= answers["id"].isin(find_overlapping(runs, design))
    everything = answers[answers["outcome"] == design.primary]
    everything = everything.assign(outcome=design.primary + ALL)
    return pd.concat([answers[~is_excluded], everything], ignore_index=True)


def _read_run_answers(
    run: SweepRun, outcomes: Mapping[str, str], conditions: Mapping[tuple[str, str], str]
) -> pd.DataFrame:
    file = run.folders[EXAM] / "answers.csv"
    table = pd.read_csv(file, usecols=READ.__contains__, dtype={"id": str}, keep_default_na=False)
    table = table[table["fits"] & (table["num_shots"] == table["num_shots"].min())]
    table = table.assign(arm=table["model"].map(_name_arms(run)))
    table = table[table["arm"].notna()]
    scores = pd.read_csv(run.folders[EXAM] / "scores.csv", usecols=[*KEY, "num_shots", "chance"])
    chance = scores.groupby([*KEY, "num_shots"], as_index=False)["chance"].first()
    table = table.merge(chance, on=[*KEY, "num_shots"], how="left")
    exams = zip(table["benchmark"], table["id"], strict=True)
    table = table.assign(
        condition=[conditions.get(key, key[1]) for key in exams],
        seed=table["arm"].map({BASE: BASE_SEED}).fillna(name_seeds(run)),
        is_read=table["predicted"] != UNREAD,
    )
    frames = [table.assign(outcome="", score=0.0)[ANSWER_COLUMNS].head(0)]
    for name, text in outcomes.items():
        outcome = split_outcome(text)
        rows = table[(table[KEY] == list(outcome[:3])).all(axis=1)]
        if len(rows):
            rows = _measure(rows, outcome.measure).assign(outcome=name)
            frames.append(rows[ANSWER_COLUMNS])
    return pd.concat(frames, ignore_index=True)


def _measure(rows: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Return the answers of one outcome with `score`, from 0 to 1, and its chance."""
    if measure == "probability":
        logprob, tokens = (
            pd.to_numeric(rows[name]) for name in ("answer_logprob", "answer_tokens")
        )
        return rows.assign(score=np.exp(logprob / tokens), chance=np.nan)
    score = rows[measure].astype(str).eq("True").astype(float)
    return rows.assign(score=score, chance=np.nan if measure == "complete" else rows["chance"])


def _name_arms(run: SweepRun) -> dict[str, str]:
    """Return the arm of each model that a run scored: its own adapter, and the base model."""
    adapters = read_record(run, EXAM).get("params", {}).get("adapters", {})
    arms = {model: BASE for model, folder in adapters.items() if not folder}
    own = [
        model
        for model, folder in adapters.items()
        if run.folders[TRAINING].parent.name in Path(folder).parts
    ]
    tuned = own or [model for model, folder in adapters.items() if folder]
    return arms | ({tuned[-1]: run.arm} if tuned else {})


def load_conditions(runs: Sequence[SweepRun]) -> dict[tuple[str, str], str]:
    """Return the condition of each question, by exam and id; a question without one is its own."""
    specs: dict[str, str] = {}
    for run in runs:
        params = read_record(run, EXAM).get("params", {})
        specs |= {data.label(spec): spec for spec in params.get("benchmarks", [])}
    return {
        (benchmark, question.id): question.group or question.id
        for benchmark, spec in specs.items()
        for question in data.load_questions(spec)
    }


def find_overlapping(runs: Sequence[SweepRun], design: Comparison) -> set[str]:
    """Return the questions of the primary exam that overlap with training texts.

    Those listed in overlaps.csv of any complete run of the arm `overlap_arm`, whatever the kind of
    the overlap (`data.find_overlaps`). So all arms and seeds have the same questions.
    """
    benchmark = split_outcome(design.outcomes[design.primary]).benchmark
    ids: set[str] = set()
    for run in runs:
        file = run.folders[EXAM] / "overlaps.csv"
        if run.arm == design.overlap_arm and file.is_file():
            table = pd.read_csv(file, dtype={"id": str}, keep_default_na=False)
            ids |= set(table.loc[table["benchmark"] == benchmark, "id"])
    return ids


def load_specialties(articles: str) -> dict[str, str]:
    """Return the group of each article by its title in small letters; {} without articles."""
    if not articles:
        return {}
    return {a.title.casefold(): a.group for a in data.load_articles(articles) if a.group}


def read_rates(runs: Sequence[SweepRun], arms: Sequence[str], design: Comparison) -> pd.DataFrame:
    """Return the learning rates that were tried: arm, learning_rate, n, accuracy, is_chosen.

    Each run is one of `arms` with one rate, scored on the development half; `raw_2e3` belongs to
    the arm `raw`. The accuracy is that of the first exam in the protocol of the primary outcome,
    averaged over seeds. The highest is chosen; of equals, the lowest rate.
    """
    protocol = split_outcome(design.outcomes[design.primary]).protocol
    rows = []
    for run in runs:
        scores = pd.read_csv(run.folders[EXAM] / "scores.csv")
        is_used = scores["benchmark"].eq(scores["benchmark"].iloc[0])
        is_used &= scores["protocol"].eq(protocol)
        is_used &= scores["model"].map(_name_arms(run)).eq(run.arm)
        rate = read_record(run, TRAINING)["params"]["learning_rate"]
        row = {"arm": find_arm(run.arm, arms), "learning_rate": rate}
        rows += [row | r for r in scores.loc[is_used, ["n", "accuracy"]].head(1).to_dict("records")]
    table = pd.DataFrame(rows, columns=["arm", "learning_rate", "n", "accuracy"])
    table = table.groupby(["arm", "learning_rate"], as_index=False).mean()
    best = table.loc[table.groupby("arm")["accuracy"].idxmax()].index
    return table.assign(is_chosen=table.index.isin(best))


def find_arm(name: str, arms: Sequence[str]) -> str:
    """Return the arm that a name begins with: the longest one; the name for none.

    >>> find_arm("qa_shuffled_2e3", ["qa", "qa_shuffled"])
    'qa_shuffled'
    """
    matches = [arm for arm in arms if name == arm or name.startswith(f"{arm}_")]
    return max(matches, key=len, default=name)


def check_rates(rates: pd.DataFrame, trainings: pd.DataFrame) -> list[str]:
    """Return the arms that were not trained with the rate that the development half chose."""
    used = trainings.groupby("arm")["learning_rate"].unique()
    return [
        f"{row.arm}: trained with {', '.join(map(str, used[row.arm]))}, chosen: {row.learning_rate}"
        for row in rates[rates["is_chosen"]].itertuples()
        if row.arm in used and list(used[row.arm]) != [row.learning_rate]
    ]


# ------------------------------------------------------------------------------------- trainings


def read_trainings(runs: Sequence[SweepRun], exposures: pd.DataFrame) -> pd.DataFrame:
    """Return one row per run: what it was trained on, and the three readings of equality.

    `target_tokens` are the tokens with loss over all epochs, `tokens` all tokens seen. `exposures`
    is the table of `count_exposures`; its minimum, mean and maximum over the facts are columns.
    """
    rows = []
    for run in runs:
        record = read_record(run, TRAINING)
        params, folder = record["params"], run.folders[TRAINING]
        mixture = pd.read_csv(folder / "mixture.csv")
        log = pd.read_csv(folder / "train_log.csv", usecols=["step", "tokens"])
        epochs = float(params["num_epochs"])
        counts = exposures[(exposures["arm"] == run.arm) & (exposures["seed"] == name_seeds(run))]
        rows.append(
            {
                "arm": run.arm,
                "seed": name_seeds(run),
                "steps": int(log["step"].max()),
                "target_tokens": round(mixture["target_tokens"].sum() * epochs),
                "tokens": round(mixture["tokens"].sum() * epochs),
                "exposures_min": counts["exposures"].min(),
                "exposures_mean": counts["exposures"].mean(),
                "exposures_max": counts["exposures"].max(),
                "learning_rate": params["learning_rate"],
                "dialogues_per_article": read_record(run, DATA)
                .get("params", {})
                .get("dialogues_per_article"),
                "parameters": read_record(run, EXAM).get("notes", {}).get("parameters"),
                "seconds": record.get("seconds"),
            }
        )
    return pd.DataFrame(rows)


def list_recipe_differences(runs: Sequence[SweepRun]) -> pd.DataFrame:
    """Return the settings of step 02 that are not equal in all runs: one row per arm.

    The study, the seed and the paths of the mixture always differ and are left out; the shares of
    the mixture count.
    """
    recipes = []
    for run in runs:
        params = dict(read_record(run, TRAINING)["params"])
        params["mixture"] = {Path(spec).stem: share for spec, share in params["mixture"].items()}
        recipes.append({"arm": run.arm} | {k: str(v) for k, v in params.items()})
    table = pd.DataFrame(recipes).drop(columns=["study", "seed"], errors="ignore").fillna("")
    differing = [name for name in table if len(set(table[name])) > 1 and name != "arm"]
    return table[["arm", *differing]].drop_duplicates().reset_index(drop=True)
