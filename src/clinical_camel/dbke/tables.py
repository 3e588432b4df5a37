"""What the notebook shows: the source, the dialogues, what was set aside and why, what it cost."""

import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from clinical_camel import data, grounding, stats
from clinical_camel.data import Article, Dialogue
from clinical_camel.dbke.checks import SUPPORT, brief, source_sentences, stated
from clinical_camel.dbke.requests import Request
from clinical_camel.dbke.synthesis import Teacher
from clinical_camel.dbke.teachers.cache import Ledger, Spent


def source_table(articles: Sequence[Article]) -> pd.DataFrame:
    """What there is to learn from, by licence: articles, sections, sentences, words."""
    rows: dict[str, Counter] = {}
    for article in articles:
        text = " ".join(section.text for section in article.sections)
        counts = rows.setdefault(article.licence or "not stated", Counter())
        counts.update(
            articles=1,
            sections=len(article.sections),
            sentences=len(grounding.split_sentences(text)),
            words=len(text.split()),
        )
    return pd.DataFrame({"licence": name, **counts} for name, counts in rows.items())


def excerpt(article: Article, words: int = 150) -> str:
    """The first words of an article as plain text, wrapped for reading."""
    text = data.article_text(article).split("\n")
    kept, count = [], 0
    for line in text:
        tokens = line.split()[: max(0, words - count)]
        count += len(tokens)
        kept.append(textwrap.fill(" ".join(tokens), 100))
        if count >= words:
            return "\n".join([*kept, "..."])
    return "\n".join(kept)


def dialogue_table(dialogues: Sequence[Dialogue]) -> pd.DataFrame:
    """One row a dialogue: id, source, exchanges, user_words, assistant_words, content_hash."""
    rows = [
        (
            *(d.id, d.source, len(d.messages) // 2),
            *(_words(d, "user"), _words(d, "assistant"), data.content_hash(d)),
        )
        for d in dialogues
    ]
    names = "id source exchanges user_words assistant_words content_hash"
    return pd.DataFrame(rows, columns=names.split())


def _words(dialogue: Dialogue, role: str) -> int:
    return sum(len(m["content"].split()) for m in dialogue.messages if m["role"] == role)


def summarise(
    table: pd.DataFrame, aside: pd.DataFrame, requests: Sequence[Request]
) -> pd.DataFrame:
    """Requested = accepted + set aside, by source, with mean exchanges and assistant words."""
    requested = Counter(request.source for request in requests)
    rows = []
    for source, count in requested.items():
        kept = table[table["source"] == source] if len(table) else table
        rows.append(
            {
                "source": source,
                "requested": count,
                "accepted": len(kept),
                "set_aside": int((aside["source"] == source).sum()),
                "mean_exchanges": kept["exchanges"].mean() if len(kept) else float("nan"),
                "mean_assistant_words": kept["assistant_words"].mean()
                if len(kept)
                else float("nan"),
            }
        )
    return pd.DataFrame(rows)


def reason_table(aside: pd.DataFrame) -> pd.DataFrame:
    """How many dialogues each reason has set aside, most first, with one of them as example.

    Reasons are counted without the sentence that they name. Columns: source, reason, dialogues,
    example.
    """
    table = aside.assign(example=aside["reason"], reason=aside["reason"].map(brief))
    groups = table.groupby(["source", "reason"], sort=False)["example"]
    counted = groups.agg(["size", "first"]).reset_index()
    counted.columns = ["source", "reason", "dialogues", "example"]
    same = counted["example"] == counted["reason"]
    counted["example"] = counted["example"].mask(same, "")
    return counted.sort_values("dialogues", ascending=False, kind="stable", ignore_index=True)


def support_table(dialogues: Sequence[Dialogue], requests: Sequence[Request]) -> pd.DataFrame:
    """How many of the assistant's sentences their sources do not support, by both readings.

    What needs no source (a question, the key, that another option is wrong) is not counted.
    Columns: reading, source, dialogues, sentences, unsupported, rate, low, high; the interval is
    Wilson's, and takes sentences for independent.
    """
    asked = {request.id: request for request in requests}
    rows = []
    for source in dict.fromkeys(dialogue.source for dialogue in dialogues):
        here = [d for d in dialogues if d.source == source]
        bad, total = Counter(), 0
        for same in _by_text(here, asked):
            sentences = [s for d in same for s in stated(d, asked[d.id])]
            text = source_sentences(asked[same[0].id])
            joined = " ".join(text)
            total += len(sentences)
            bad["verbatim"] += sum(sentence not in joined for sentence in sentences)
            links = grounding.link(sentences, text)
            bad["linked"] += sum(link.verdict != "supported" for link in links)
        for reading in SUPPORT:
            low, high = stats.wilson(bad[reading], total)
            rate = bad[reading] / total if total else float("nan")
            rows.append((reading, source, len(here), total, bad[reading], rate, low, high))
    names = "reading source dialogues sentences unsupported rate low high"
    return pd.DataFrame(rows, columns=names.split())


def _by_text(dialogues: Sequence[Dialogue], asked: Mapping[str, Request]) -> Iterable[list]:
    """Dialogues on one text together: it is read once."""
    groups: dict[str, list[Dialogue]] = {}
    for dialogue in dialogues:
        groups.setdefault(asked[dialogue.id].source_text, []).append(dialogue)
    return groups.values()


def cost_table(teacher: Teacher, store: Any, money_cap: float) -> pd.DataFrame:
    """One row: what the ledger has of all runs together. Without a ledger nothing was paid for.

    Columns: teacher, model, attempts, replies, tokens, money, money_cap.
    """
    spent = store.spent() if isinstance(store, Ledger) else Spent(0, 0, 0, 0.0)
    row = {"teacher": teacher.name, "model": teacher.model, **asdict(spent)}
    return pd.DataFrame([row | {"money_cap": money_cap}])


def plot_lengths(table: pd.DataFrame) -> Figure:
    """Histograms of assistant words and of exchanges a dialogue, by source."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), sharey=True)
    if len(table):
        style = {"hue": "source", "multiple": "stack"}
        sns.histplot(table, x="assistant_words", bins=30, ax=left, **style)
        sns.histplot(table, x="exchanges", discrete=True, ax=right, legend=False, **style)
    left.set(xlabel="assistant words in a dialogue", ylabel="dialogues")
    right.set(xlabel="exchanges in a dialogue")
    figure.tight_layout()
    return figure
