"""Every figure of every step is readable at 800 px: drawn from the committed tables, and from more.

A text is 12 px high or higher, and no tick labels overlap.
"""

import importlib
import re
from collections.abc import Callable

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from clinical_camel.core.paths import root
from clinical_camel.runs import process
from clinical_camel.runs.figures import check_readable

OUTPUTS = root() / "outputs"
EXAM, NOTES, REPLIES = "03_eval_fewshot", "04_note_synthesis", "08_eval_replies"
COMPARISON, REWARDS = "06_controlled_comparison", "07_reward_and_rl"
CONTRASTS = ["dialogue - raw", "dialogue - monologue", "monologue - raw", "qa - headings"]


def select_model(scores: pd.DataFrame) -> pd.DataFrame:
    last = scores["model"] == scores["model"].iloc[-1]
    return scores[last & (scores["variant"] == scores["variant"].iloc[0])]


def select_protocol(table: pd.DataFrame) -> pd.DataFrame:
    names = ["variant", "protocol", "num_shots"]
    return table[(table[names] == table[names].iloc[0]).all(axis=1)]


def select_exams(table: pd.DataFrame) -> pd.DataFrame:
    shown = table.query("shots == 5 and benchmark in ['medqa_us', 'pubmedqa']")
    return shown.fillna({"size": ""}).astype({"n": "Int64"})


# by figure: the table of a step, and the arguments made from it
FIGURES: dict[str, tuple[str, Callable]] = {
    "results.plot_forms": ("00_results/forms", lambda rows: [rows]),
    "dbke.plot_lengths": ("01_dbke/dialogues_table", lambda rows: [rows]),
    "sft_qlora.plot_loss": ("02_sft_qlora/train_log", lambda rows: [rows, 3.0]),
    "eval_fewshot.plot_scores": (f"{EXAM}/scores", lambda rows: [rows]),
    "eval_fewshot.plot_protocols": (f"{EXAM}/scores", lambda rows: [select_model(rows)]),
    "note_synthesis.plot_statuses": (f"{NOTES}/statuses", lambda rows: [rows]),
    "note_synthesis.plot_faithfulness": (f"{NOTES}/faithfulness_summary", lambda rows: [rows]),
    "note_synthesis.plot_scores": (f"{NOTES}/summary", lambda rows: [rows]),
    "note_synthesis.plot_parts": (f"{NOTES}/summary", lambda rows: [rows]),
    "note_synthesis.plot_decodings": (f"{NOTES}/decodings", lambda rows: [rows]),
    "loss_curves.plot_curves": ("05_loss_curves/curves", lambda rows: [rows]),
    "controlled_comparison.plot_contrasts": (f"{COMPARISON}/contrasts", lambda rows: [rows, 0.05]),
    "controlled_comparison.plot_scores": (f"{COMPARISON}/scores", lambda rows: [rows]),
    "controlled_comparison.plot_exposures": (f"{COMPARISON}/recall", lambda rows: [rows]),
    "controlled_comparison.plot_forgetting": (
        f"{COMPARISON}/scores",
        lambda rows: [rows, "plain question", "primer exam"],
    ),
    "controlled_comparison.plot_specialties": (
        f"{COMPARISON}/specialties",
        lambda rows: [rows, "dialogue", "raw"],
    ),
    "reward_and_rl.plot_reward_log": (f"{REWARDS}/reward_log", lambda rows: [rows]),
    "reward_and_rl.plot_training_rewards": (f"{REWARDS}/policy_steps", lambda rows: [rows]),
    "reward_and_rl.plot_measures": (f"{REWARDS}/curves", lambda rows: [rows]),
    "reward_and_rl.plot_rewards_against_kl": (f"{REWARDS}/curves", lambda rows: [rows]),
    "eval_replies.plot_overlap": (f"{REPLIES}/overlap", lambda rows: [rows]),
    "eval_replies.plot_outcomes": (f"{REPLIES}/diagnoses", lambda rows: [rows]),
    "eval_replies.plot_diagnoses": (
        f"{REPLIES}/diagnoses",
        lambda rows: [rows, list(rows["model"].unique())],
    ),
    "eval_replies.plot_wins": (f"{REPLIES}/wins", lambda rows: [rows]),
    "score_checks.plot_calibration": (
        "09_score_checks/calibration",
        lambda rows: [select_protocol(rows)],
    ),
    "published.plot_published": ("10_published/published", lambda rows: [select_exams(rows)]),
}


def make_scaling() -> list[pd.DataFrame]:
    """Return points and fits of two curves over each quantity."""
    rows = [
        {"curve": curve, "quantity": quantity, "arm": curve, "x": x, "accuracy": 0.4, "low": 0.3}
        | {"outcome": "plain question, all questions"}
        for curve in ("dialogue, plain question", "raw, plain question")
        for quantity, places in (
            ("exposures per run", (4, 8, 16)),
            ("parameters of the base model", (3e5, 1.1e6, 4e6)),
        )
        for x in places
    ]
    points = pd.DataFrame(rows).assign(high=0.5)
    fits = pd.DataFrame({"curve": points["curve"].unique(), "accuracy_at_1": 0.3})
    return [points, fits.assign(gain_per_doubling=0.02)]


TOYS: dict[str, Callable[[], list]] = {
    "controlled_comparison.plot_design": lambda: [CONTRASTS],
    "controlled_comparison.plot_scaling": make_scaling,
}


@pytest.fixture
def theme():
    """The theme of a notebook."""
    with plt.rc_context():
        process._set_theme()
        yield
    plt.close("all")


def draw(figure: str, *arguments):
    package, _, name = figure.partition(".")
    return getattr(importlib.import_module(f"clinical_camel.{package}"), name)(*arguments)


def test_every_figure_is_drawn_here():
    source = root() / "src/clinical_camel"
    names = {
        f"{file.parent.name}.{name}"
        for file in source.glob("*/__init__.py")
        for name in re.findall(r'"(plot_\w+)"', file.read_text(encoding="utf-8"))
    }
    assert names == FIGURES.keys() | TOYS.keys()


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_of_committed_results_is_readable(name, theme):
    table, make_arguments = FIGURES[name]
    files = sorted(OUTPUTS.glob(f"*/{table}.csv"), key=lambda file: file.stat().st_size)
    assert files, f"no committed table {table}"
    for file in dict.fromkeys([files[0], *files[-2:]]):
        figure = draw(name, *make_arguments(pd.read_csv(file)))
        assert list(check_readable(figure)) == [], file.parents[1].name


@pytest.mark.parametrize("name", TOYS)
def test_a_figure_of_toy_data_is_readable(name, theme):
    assert list(check_readable(draw(name, *TOYS[name]()))) == []
