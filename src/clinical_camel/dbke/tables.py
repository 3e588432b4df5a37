"""What the notebook shows: the source, the dialogues, what was set aside and why, what it cost."""

import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from clinical_camel import data, grounding
from clinical_camel.data import Article, Dialogue
from clinical_camel.dbke.ledger import Ledger, Spent
from clinical_camel.dbke.requests import Request
from clinical_camel.dbke.teaching import Teacher


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


def cost_table(teacher: Teacher, store: Any, money_cap: float) -> pd.DataFrame:
    """One row: what the ledger has of all runs together. Without a ledger nothing was paid for.

    Columns: teacher, model, attempts, replies, tokens, money, money_cap.
    """
    spent = store.spent() if isinstance(store, Ledger) else Spent(0, 0, 0, 0.0)
    row = {"teacher": teacher.name, "model": teacher.model, **asdict(spent)}
    return pd.DataFrame([row | {"money_cap": money_cap}])


def plot_lengths(table: pd.DataFrame) -> Figure:
    """Histogram of assistant words a dialogue, by source."""
    figure, axes = plt.subplots(figsize=(7, 3))
    if len(table):
        sns.histplot(table, x="assistant_words", hue="source", multiple="stack", bins=30, ax=axes)
    axes.set(xlabel="assistant words in a dialogue", ylabel="dialogues")
    return figure


def transcript(dialogue: Dialogue) -> str:
    """A dialogue as plain text for reading: speaker in the margin, long turns wrapped."""
    margin = " " * 11
    return "\n".join(
        textwrap.fill(
            line,
            100,
            initial_indent=f"{m['role']:>9}: " if i == 0 else margin,
            subsequent_indent=margin,
        )
        for m in dialogue.messages
        for i, line in enumerate(m["content"].splitlines())
    )
