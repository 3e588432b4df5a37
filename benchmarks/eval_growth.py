"""How does the work of scoring grow with questions, exemplars and options? Counted and timed.

    python -m benchmarks.eval_growth                           # about 15 minutes of one core
    python -m benchmarks.eval_growth --draw                    # only the figure, from the table

MedQA questions and the random Llama of eval_speed.py (8 layers, 512 wide, 1,024 tokens, float32).
One quantity varies at a time; the others stay at 60 questions, 5 exemplars, 4 options. Options
beyond a question's own come from other questions. `naive_tokens` are the tokens that one forward
per option would read, counted from the same texts and not run. Rows go to eval_growth.csv, the
figure to eval_growth.png.
"""

import argparse
import dataclasses
import functools
import random
from collections.abc import Iterator, Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
from benchmarks.eval_speed import (
    EXEMPLARS,
    QUESTIONS,
    TOKEN_BUDGET,
    make_random_llama,
    measure_time,
)
from benchmarks.harness_agreement import score_ours
from benchmarks.tables import RESULTS, append
from matplotlib.figure import Figure

from clinical_camel import data, eval_fewshot, models
from clinical_camel.data import Question

DEFAULTS = {"questions": 60, "num_shots": 5, "options": 4}
VALUES = {
    "questions": (15, 30, 60, 120),
    "num_shots": (0, 1, 2, 3, 5, 8),
    "options": (2, 4, 6, 8, 10),
}
PROTOCOLS = {"letter": "letters", "harness_2023": "option texts"}


def set_options(questions: Sequence[Question], count: int, others: Sequence[str]) -> list[Question]:
    """Return the questions with `count` options: the correct one, their own, some of `others`."""
    changed = []
    for question in questions:
        correct = question.options[question.answer]
        more = random.Random(question.id).sample(others, 4 * count)
        options = list(dict.fromkeys([correct, *question.options, *more]))[:count]
        changed.append(dataclasses.replace(question, options=options, answer=0))
    return changed


def count_naive_tokens(
    llm: models.LLM,
    questions: Sequence[Question],
    exemplars: Mapping[str, Sequence[Question]],
    protocol: eval_fewshot.Protocol,
) -> int:
    """Return the tokens read if every option needs a forward with its full prompt."""
    return sum(
        len(pair) - 1
        for question in questions
        for pair in eval_fewshot.tokenize_options(
            llm.tokenizer, question, exemplars[question.id], protocol, ""
        )
    )


def measure(
    llm: models.LLM, questions: Sequence[Question], pool: Sequence[Question]
) -> Iterator[dict]:
    """Yield a row for each quantity that varies, each of its values and each protocol."""
    others = [option for question in questions for option in question.options]
    for varied, values in VALUES.items():
        for value in values:
            size = DEFAULTS | {varied: value}
            exam = data.sample(list(questions), size["questions"])
            exam = set_options(exam, size["options"], others)
            exemplar_pool = set_options(pool[:20], size["options"], others)
            for name, scored in PROTOCOLS.items():
                shots = size["num_shots"]
                design = eval_fewshot.Design(
                    protocols=[name], num_shots=[shots], token_budget=TOKEN_BUDGET
                )
                exemplars = eval_fewshot.choose_exemplars(
                    "medqa_us", exam, exemplar_pool, shots, design
                )
                protocol = eval_fewshot.PROTOCOLS[name]
                naive = count_naive_tokens(llm, exam, exemplars, protocol)
                llm.counts.clear()
                score = functools.partial(score_ours, llm, "medqa_us", exam, exemplar_pool, design)
                _, cpu, _ = measure_time(score)
                tokens = llm.counts["prefix_tokens"] + llm.counts["row_tokens"]
                yield {
                    "varied": varied,
                    **size,
                    "scored": scored,
                    "tokens": tokens,
                    "head_rows": llm.counts["head_rows"],
                    "naive_tokens": naive,
                    "ratio": round(naive / tokens, 1),
                    "cpu_seconds": round(cpu, 1),
                }


def plot_growth(rows: pd.DataFrame) -> Figure:
    """Plot the tokens read, ours and with one forward per option: a panel per quantity."""
    figure, axes = plt.subplots(1, len(VALUES), figsize=(10, 3.8), sharey=True)
    for axis, varied in zip(axes, VALUES, strict=True):
        panel = rows[rows["varied"] == varied]
        for k, (scored, group) in enumerate(panel.groupby("scored")):
            for column, scorer, colour in [
                ("naive_tokens", "one forward per option", "#D55E00"),
                ("tokens", "ours", "#0072B2"),
            ]:
                axis.plot(
                    group[varied],
                    group[column] / 1e3,
                    color=colour,
                    marker="os"[k],
                    linestyle="-:"[k],
                    markersize=5,
                    label=f"{scorer}, {scored}",
                )
        axis.set(xlabel=varied.replace("num_shots", "exemplars"), yscale="log")
        axis.set_xticks(panel[varied].unique())
        axis.yaxis.set_major_formatter("{x:,.0f}")
        axis.grid(visible=True, alpha=0.3)
    axes[0].set_ylabel("tokens read, thousands")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="lower center", ncols=2, fontsize=9)
    figure.tight_layout(rect=(0, 0.16, 1, 1))
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draw", action="store_true", help="only the figure, from the table")
    table = RESULTS / "eval_growth.csv"
    if not parser.parse_args().draw:
        table.unlink(missing_ok=True)
        questions = data.load_questions(QUESTIONS)
        pool = data.load_training_questions(EXEMPLARS)
        texts = [data.format_question(question) for question in [*questions, *pool]]
        for row in measure(make_random_llama(1024, texts), questions, pool):
            append("eval_growth", row)
    figure = plot_growth(pd.read_csv(table))
    figure.savefig(RESULTS / "eval_growth.png", dpi=120, metadata={"Software": None})


if __name__ == "__main__":
    main()
