"""How does the work grow with questions, worked examples and options? Ours, counted and timed.

    python benchmarks/eval_growth.py                           # about 15 minutes of one core
    python benchmarks/eval_growth.py --draw                    # the picture again, from the table

MedQA questions and the random Llama of eval_speed.py (8 layers, 512 wide, 1,024 tokens, float32).
One thing grows at a time, the others stay at 60 questions, 5 examples, 4 options; options beyond a
question's own are those of other questions. Beside the tokens that we read stand those that one
forward for each option would read, counted from the same texts and not run. Rows go to
eval_growth.csv, the picture is eval_growth.png.
"""

import argparse
import dataclasses
import functools
import random
from collections.abc import Iterator, Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
from eval_speed import EXAMPLES, QUESTIONS, random_llama, timed
from harness_agreement import ask_us
from matplotlib.figure import Figure
from mini_effect import HERE, append

from clinical_camel import data, eval_fewshot, models
from clinical_camel.data import Question

USUAL = {"questions": 60, "num_shots": 5, "options": 4}
VALUES = {
    "questions": (15, 30, 60, 120),
    "num_shots": (0, 1, 2, 3, 5, 8),
    "options": (2, 4, 6, 8, 10),
}
SCORED = {"letter": "letters", "harness_2023": "option texts"}


def with_options(
    questions: Sequence[Question], count: int, others: Sequence[str]
) -> list[Question]:
    """The questions with `count` options: the right one, then their own, then some of `others`."""
    changed = []
    for question in questions:
        right = question.options[question.answer]
        more = random.Random(question.id).sample(others, 4 * count)
        options = list(dict.fromkeys([right, *question.options, *more]))[:count]
        changed.append(dataclasses.replace(question, options=options, answer=0))
    return changed


def one_forward_each(
    llm: models.LLM,
    questions: Sequence[Question],
    shown: Mapping[str, Sequence[Question]],
    protocol: eval_fewshot.Protocol,
) -> int:
    """Tokens that go through the model if every option is read with its whole prompt."""
    total = 0
    for question in questions:
        prompt = eval_fewshot.build_prompt(question, shown[question.id], protocol, llm.tokenizer)
        for text in eval_fewshot.continuations(question, protocol):
            total += len(models.encode_pair(llm.tokenizer, prompt, text)) - 1
    return total


def measure(llm: models.LLM, asked: Sequence[Question], pool: Sequence[Question]) -> Iterator[dict]:
    """Yields a row for each thing that grows, each of its values and each way of scoring."""
    others = [option for question in asked for option in question.options]
    for grows, values in VALUES.items():
        for value in values:
            size = USUAL | {grows: value}
            questions = with_options(
                data.sample(list(asked), size["questions"]), size["options"], others
            )
            pools = {"medqa_us": with_options(pool[:20], size["options"], others)}
            for name, scored in SCORED.items():
                design = eval_fewshot.Design([name], [size["num_shots"]])
                shown = design.shown("medqa_us", pools, questions, size["num_shots"])
                each = one_forward_each(llm, questions, shown, eval_fewshot.PROTOCOLS[name])
                llm.counts.clear()
                answer = functools.partial(ask_us, llm, "medqa_us", questions, pools, design)
                _, cpu, _ = timed(answer)
                read = llm.counts["prefix_tokens"] + llm.counts["row_tokens"]
                yield {
                    "grows": grows,
                    **size,
                    "scored": scored,
                    "tokens": read,
                    "head_rows": llm.counts["head_rows"],
                    "one_forward_each": each,
                    "ratio": round(each / read, 1),
                    "cpu_seconds": round(cpu, 1),
                }


def plot_growth(rows: pd.DataFrame) -> Figure:
    """A panel for each thing that grows: tokens read, ours and one forward for each option."""
    figure, axes = plt.subplots(1, len(VALUES), figsize=(10, 3.8), sharey=True)
    for axis, grows in zip(axes, VALUES, strict=True):
        for k, (scored, here) in enumerate(rows[rows["grows"] == grows].groupby("scored")):
            for column, who, colour in [
                ("one_forward_each", "one forward for each option", "#D55E00"),
                ("tokens", "ours", "#0072B2"),
            ]:
                axis.plot(
                    here[grows],
                    here[column] / 1e3,
                    color=colour,
                    marker="os"[k],
                    linestyle="-:"[k],
                    markersize=5,
                    label=f"{who}, {scored}",
                )
        axis.set(xlabel=grows.replace("num_shots", "worked examples"), yscale="log")
        axis.set_xticks(rows.loc[rows["grows"] == grows, grows].unique())
        axis.yaxis.set_major_formatter("{x:,.0f}")
        axis.grid(visible=True, alpha=0.3)
    axes[0].set_ylabel("tokens read, thousands")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="lower center", ncols=2, fontsize=9)
    figure.tight_layout(rect=(0, 0.16, 1, 1))
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draw", action="store_true", help="only the picture, from the table")
    table = HERE / "eval_growth.csv"
    if not parser.parse_args().draw:
        table.unlink(missing_ok=True)
        asked, pool = data.load_questions(QUESTIONS), data.load_training_questions(EXAMPLES)
        texts = [data.question_text(question) for question in [*asked, *pool]]
        for row in measure(random_llama(1024, texts), asked, pool):
            append("eval_growth", row)
    picture = plot_growth(pd.read_csv(table))
    picture.savefig(HERE / "eval_growth.png", dpi=120, metadata={"Software": None})


if __name__ == "__main__":
    main()
