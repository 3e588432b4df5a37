"""Step 03: few-shot exams, scored by the likelihood of each option.

A protocol is data: how a question is laid out and what is scored. Exemplars are the same for every
question of a benchmark, so the model reads them once.
"""

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from tqdm import tqdm

from clinical_camel import data, models, stats
from clinical_camel.data import Question
from clinical_camel.models import LLM, Pair


@dataclass(frozen=True, slots=True)
class Protocol:
    """How a question is asked.

    `lists_options`: the options stand in the prompt, lettered. `scores`: the option's "text" or its
    "letter". `chat`: a conversation in the model's own template, else plain text.
    """

    lists_options: bool
    scores: str
    chat: bool


PROTOCOLS = {
    "option_text": Protocol(lists_options=False, scores="text", chat=False),
    "letter": Protocol(lists_options=True, scores="letter", chat=False),
    "chat": Protocol(lists_options=True, scores="text", chat=True),
    "conversation": Protocol(lists_options=False, scores="text", chat=True),
}


def question_block(question: Question, protocol: Protocol) -> str:
    """One question as plain text, up to and with "Answer:".

    No space after "Answer:": the space belongs to the answer's first token.
    """
    lines = [f"Abstract: {question.context}"] if question.context else []
    lines.append(f"Question: {question.question}")
    if protocol.lists_options:
        lines += [f"{chr(65 + i)}. {option}" for i, option in enumerate(question.options)]
    return "\n".join([*lines, "Answer:"])


def continuations(question: Question, protocol: Protocol) -> list[str]:
    """What each option adds to the prompt; in chat the reply starts at once, without a space."""
    letters = [chr(65 + i) for i in range(len(question.options))]
    texts = letters if protocol.scores == "letter" else question.options
    return list(texts) if protocol.chat else [f" {text}" for text in texts]


def build_prompt(
    question: Question, exemplars: Sequence[Question], protocol: Protocol, tokenizer=None
) -> str:
    """The prompt of one question after its worked examples, ending where the model must answer.

    The tokenizer is needed for a chat protocol only, where examples are earlier turns.
    """
    if protocol.chat:
        messages = []
        for row in (*exemplars, question):
            messages.append(_turn("user", data.question_text(row, protocol.lists_options)))
            messages.append(_turn("assistant", continuations(row, protocol)[row.answer]))
        return models.render_chat(tokenizer, messages[:-1])  # all but the answer asked for
    worked = [question_block(e, protocol) + continuations(e, protocol)[e.answer] for e in exemplars]
    return "\n\n".join([*worked, question_block(question, protocol)])


def _turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def plan(
    questions: Mapping[str, Sequence[Question]],
    exemplars: Mapping[str, Sequence[Question]],
    protocols: Sequence[str],
    num_shots: Sequence[int],
) -> None:
    """Refuses, before a model is loaded, what could not be run. ValueError names the parameter."""
    for name in protocols:
        if name not in PROTOCOLS:
            raise ValueError(f"protocols: {name!r} is not one of {', '.join(PROTOCOLS)}")
    for benchmark, rows in questions.items():
        shown = exemplars.get(benchmark, ())
        if max(num_shots) > len(shown):
            raise ValueError(
                f"num_shots: {max(num_shots)} asked for, but exemplars hold {len(shown)} "
                f"questions for {benchmark}"
            )
        asked = {(q.question, tuple(sorted(q.options))) for q in rows}
        if any((e.question, tuple(sorted(e.options))) in asked for e in shown):
            raise ValueError(
                f"exemplars: a worked example of {benchmark} is also one of its questions"
            )


def fingerprint(*sets: Mapping[str, Sequence[Question]]) -> str:
    """A hash of all questions and examples, in order: which answers may be used again."""
    rows = [[name, *map(data.content_hash, rows)] for each in sets for name, rows in each.items()]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]


def answer_all(
    llms: Mapping[str, LLM],
    questions: Mapping[str, Sequence[Question]],
    exemplars: Mapping[str, Sequence[Question]],
    protocols: Sequence[str],
    num_shots: Sequence[int],
    token_budget: int,
    journal,
) -> pd.DataFrame:
    """Every model on every question, protocol and number of shots: one row an answer.

    Columns: model, benchmark, protocol, num_shots, id, subset, content_hash, answer, predicted
    (by summed log-likelihood), predicted_norm (divided by the option's characters), correct,
    correct_norm, fits, tokens, logprobs. A question longer than the model's context has
    `fits=False` and no prediction. `journal` keeps each answer as it comes.
    """
    frames = []
    for model, llm in llms.items():
        for benchmark, rows in questions.items():
            for protocol in protocols:
                for shots in num_shots:
                    key = {"model": model, "benchmark": benchmark}
                    key |= {"protocol": protocol, "num_shots": shots}
                    shown = list(exemplars.get(benchmark, ()))[:shots]
                    answers = answer(
                        llm, rows, shown, PROTOCOLS[protocol], token_budget, key, journal
                    )
                    frames += [key | row for row in answers]
    return pd.DataFrame(frames)


def answer(
    llm: LLM,
    questions: Sequence[Question],
    exemplars: Sequence[Question],
    protocol: Protocol,
    token_budget: int,
    key: Mapping[str, str | int],
    journal,
) -> list[dict]:
    """The answers of one model in one setting, in the order of the questions."""
    name = "/".join(map(str, key.values()))
    todo = [q for q in questions if f"{name}/{q.id}" not in journal.done]
    bar = tqdm(
        total=len(questions),
        initial=len(questions) - len(todo),
        desc=name,
        unit="question",
        file=sys.stdout,
    )
    for question, pairs, logprobs in score_questions(llm, todo, exemplars, protocol, token_budget):
        answered = read_answer(question, protocol, pairs, logprobs)
        journal.append(f"{name}/{question.id}", answered)
        bar.update()
    bar.close()
    return [
        {
            "id": q.id,
            "subset": q.subset,
            "content_hash": data.content_hash(q),
            "answer": q.answer,
            **journal.done[f"{name}/{q.id}"],
        }
        for q in questions
    ]


def score_questions(
    llm: LLM,
    questions: Sequence[Question],
    exemplars: Sequence[Question],
    protocol: Protocol,
    token_budget: int,
) -> Iterator[tuple[Question, list[Pair], list[float] | None]]:
    """Yields each question with its options' log-likelihoods as soon as all are known.

    None stands for a question that does not fit the model's context.
    """
    encoded = {}
    for question in questions:
        prompt = build_prompt(question, exemplars, protocol, llm.tokenizer)
        texts = continuations(question, protocol)
        pairs = [models.encode_pair(llm.tokenizer, prompt, text) for text in texts]
        if max(map(len, pairs)) > llm.max_length:
            yield question, pairs, None
        else:
            encoded[question.id] = (question, pairs)
    flat = [(name, i) for name, (_, pairs) in encoded.items() for i in range(len(pairs))]
    known: dict[str, dict[int, float]] = {name: {} for name in encoded}
    for index, value in models.score(llm, [encoded[n][1][i] for n, i in flat], token_budget):
        name, option = flat[index]
        known[name][option] = value
        question, pairs = encoded[name]
        if len(known[name]) == len(pairs):
            yield question, pairs, [known[name][i] for i in range(len(pairs))]


def read_answer(
    question: Question, protocol: Protocol, pairs: Sequence[Pair], logprobs: list[float] | None
) -> dict:
    """What one set of log-likelihoods says: the chosen option, with and without length norm.

    The norm divides by the characters of what is scored, as the harness does: letters all have one.
    """
    row = {"fits": logprobs is not None, "tokens": max(map(len, pairs))}
    if logprobs is None:
        return (
            row
            | {"predicted": -1, "predicted_norm": -1, "correct": False}
            | {
                "correct_norm": False,
                "logprobs": "",
            }
        )
    scores = np.array(logprobs)
    lengths = np.array([len(text.strip()) for text in continuations(question, protocol)])
    best, best_norm = int(scores.argmax()), int((scores / lengths).argmax())
    return row | {
        "predicted": best,
        "predicted_norm": best_norm,
        "correct": best == question.answer,
        "correct_norm": best_norm == question.answer,
        "logprobs": " ".join(f"{value:.4f}" for value in logprobs),
    }


SETTING = ["benchmark", "protocol", "num_shots", "model"]


def published_rows(table: pd.DataFrame, system: str) -> pd.DataFrame:
    """The published accuracies of `system` ("name:size"): benchmark, num_shots, published, status.

    Empty for an empty `system`, so that a mini model never stands beside a published value.
    Raises ValueError for a system that the table does not hold.
    """
    columns = {"benchmark": "benchmark", "shots": "num_shots", "value": "published"}
    columns |= {"status": "published_status"}
    if not system:
        return pd.DataFrame(columns=list(columns.values()))
    names = table["system"] + ":" + table["size"]
    if system not in set(names):
        raise ValueError(
            f"published_system: {system!r} is not one of {', '.join(sorted(set(names)))}"
        )
    rows = table[(names == system) & (table["metric"] == "accuracy")]
    rows = rows[list(columns)].rename(columns=columns)
    return rows.assign(published=rows["published"] / 100)


def score_table(
    answers: pd.DataFrame, questions: Mapping[str, Sequence[Question]], published: pd.DataFrame
) -> pd.DataFrame:
    """Accuracy with its Wilson interval, beside chance and the published value where there is one.

    `n` counts the questions that fit the context; `too_long` those that do not. `chance` is the
    mean of one over the number of options; `majority` what the most frequent answer position earns.
    `published` rows (benchmark, num_shots, value) are joined by benchmark and shots.
    """
    rows = []
    for setting, group in answers.groupby(SETTING, sort=False):
        row = dict(zip(SETTING, setting, strict=True))
        asked = {q.id: q for q in questions[row["benchmark"]]}
        fits = group[group["fits"]]
        n, right = len(fits), int(fits["correct"].sum())
        low, high = stats.wilson(right, n)
        chance = [1 / len(asked[i].options) for i in fits["id"]]
        rows.append(
            row
            | {
                "n": n,
                "too_long": len(group) - n,
                "accuracy": right / n if n else np.nan,
                "low": low,
                "high": high,
                "accuracy_norm": fits["correct_norm"].mean() if n else np.nan,
                "chance": np.mean(chance) if n else np.nan,
                "majority": fits["answer"].value_counts(normalize=True).max() if n else np.nan,
            }
        )
    scores = pd.DataFrame(rows)
    if published.empty:
        return scores
    return scores.merge(published, on=["benchmark", "num_shots"], how="left")


def compare(answers: pd.DataFrame, baseline: str, seed: int) -> pd.DataFrame:
    """Each model against `baseline`, question by question: difference, interval, exact McNemar."""
    rows = []
    for setting, group in answers[answers["fits"]].groupby(SETTING[:-1], sort=False):
        wide = group.pivot_table(index="id", columns="model", values="correct", sort=False).dropna()
        for model in wide.columns.drop(baseline, errors="ignore"):
            if baseline not in wide:
                continue
            ours, theirs = wide[model].astype(bool), wide[baseline].astype(bool)
            difference, low, high = stats.paired_bootstrap(ours.to_numpy(), theirs.to_numpy(), seed)
            rows.append(
                dict(zip(SETTING, setting, strict=False))
                | {
                    "model": model,
                    "against": baseline,
                    "n": len(wide),
                    "only_model_right": int((ours & ~theirs).sum()),
                    "only_baseline_right": int((~ours & theirs).sum()),
                    "difference": difference,
                    "low": low,
                    "high": high,
                    "p": stats.mcnemar_exact(ours.to_numpy(), theirs.to_numpy()),
                }
            )
    return pd.DataFrame(rows)


def plot_scores(scores: pd.DataFrame) -> Figure:
    """One panel a benchmark: accuracy with its interval by setting, chance as a dashed line."""
    panels = list(scores["benchmark"].unique())
    settings_of = scores.groupby("benchmark")[["protocol", "num_shots"]].apply(
        lambda rows: len(rows.drop_duplicates())
    )
    size = (len(panels) * max(3.4, 1.1 * settings_of.max()), 3.6)  # a label is about an inch wide
    figure, axes = plt.subplots(
        1, len(panels), figsize=size, sharey=True, squeeze=False, layout="constrained"
    )
    for axis, benchmark in zip(axes[0], panels, strict=True):
        rows = scores[scores["benchmark"] == benchmark]
        settings = list(dict.fromkeys(zip(rows["protocol"], rows["num_shots"], strict=True)))
        for k, (model, group) in enumerate(rows.groupby("model", sort=False)):
            places = [
                settings.index(s) + 0.18 * (k - (rows["model"].nunique() - 1) / 2)
                for s in zip(group["protocol"], group["num_shots"], strict=True)
            ]
            accuracy = 100 * group["accuracy"].to_numpy()
            spread = [
                accuracy - 100 * group["low"].to_numpy(),
                100 * group["high"].to_numpy() - accuracy,
            ]
            axis.errorbar(places, accuracy, yerr=spread, fmt="os^Dv"[k % 5], capsize=3, label=model)
        axis.axhline(100 * rows["chance"].mean(), linestyle="--", color="grey", label="chance")
        counts = rows.groupby(["protocol", "num_shots"])["n"].max()
        labels = [f"{p}\n{s}-shot\nn = {counts[p, s]}" for p, s in settings]
        axis.set_xticks(range(len(settings)), labels, fontsize=8)
        axis.set_xlim(-0.5, len(settings) - 0.5)
        axis.set_title(benchmark)
    axes[0, 0].set_ylabel("accuracy, %")
    axes[0, 0].set_ylim(0, 100)
    axes[0, 0].legend(loc="upper left", fontsize=8)
    return figure


def failures(
    answers: pd.DataFrame, questions: Mapping[str, Sequence[Question]], model: str, count: int
) -> str:
    """The first wrong answers of a model, in full, as plain text."""
    wrong = answers[answers["fits"] & ~answers["correct"] & (answers["model"] == model)]
    shown = []
    for row in wrong.head(count).itertuples():
        question = next(q for q in questions[row.benchmark] if q.id == row.id)
        scores = row.logprobs.split()
        lines = [f"{row.benchmark}, {row.protocol}, {row.num_shots}-shot: {question.question}"]
        for i, option in enumerate(question.options):
            mark = ("right " if i == question.answer else "") + (
                "chosen" if i == row.predicted else ""
            )
            lines.append(f"  ({chr(65 + i)}) {option:<50.50} {scores[i]:>10}  {mark}")
        shown.append("\n".join(lines))
    return "\n\n".join(shown) or "no wrong answer"


def headline(scores: pd.DataFrame) -> str:
    """The first setting in a line: accuracy of each model with its interval, n and chance."""
    first = scores[(scores[SETTING[:-1]] == scores[SETTING[:-1]].iloc[0]).all(axis=1)]
    models_ = ", ".join(
        f"{r.model} {r.accuracy:.1%} [{r.low:.1%}, {r.high:.1%}]" for r in first.itertuples()
    )
    row = first.iloc[0]
    setting = f"{row['benchmark']}, {row['protocol']}, {row['num_shots']}-shot"
    return f"{setting}, n = {row['n']}, chance {row['chance']:.0%}: {models_}"
