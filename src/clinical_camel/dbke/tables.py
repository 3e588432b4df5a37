"""Tables and figures of notebook 01: articles, dialogues, rejections, support, cost."""

import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from clinical_camel import data, grounding, stats
from clinical_camel.data import Article, Dialogue
from clinical_camel.dbke.checks import list_claims, split_source, strip_quote
from clinical_camel.dbke.requests import Request
from clinical_camel.dbke.settings import SUPPORT
from clinical_camel.teachers.cache import Ledger, Spending
from clinical_camel.teachers.injection import Withheld
from clinical_camel.teachers.teacher import Teacher


def tabulate_articles(articles: Sequence[Article]) -> pd.DataFrame:
    """Count articles, sections, sentences and words by licence."""
    rows = defaultdict(Counter)
    for article in articles:
        text = " ".join(section.text for section in article.sections)
        rows[article.licence or "not stated"].update(
            articles=1,
            sections=len(article.sections),
            sentences=len(grounding.split_sentences(text)),
            words=len(text.split()),
        )
    return pd.DataFrame({"licence": name, **counts} for name, counts in rows.items())


def excerpt(article: Article, words: int = 150) -> str:
    """Return the first words of an article as plain text, long lines wrapped, shortening marked."""
    lines, count = [], 0
    for line in data.format_article(article).split("\n"):
        tokens = line.split()[: max(0, words - count)]
        count += len(tokens)
        lines.append(textwrap.fill(" ".join(tokens), 100))
        if count >= words:
            return "\n".join([*lines, "... (shortened)"])
    return "\n".join(lines)


def tabulate_dialogues(dialogues: Sequence[Dialogue]) -> pd.DataFrame:
    """One row per dialogue: id, source, exchanges, user_words, assistant_words, content_hash."""
    rows = [
        (
            *(d.id, d.source, len(d.messages) // 2),
            *(_count_words(d, "user"), _count_words(d, "assistant"), data.content_hash(d)),
        )
        for d in dialogues
    ]
    names = "id source exchanges user_words assistant_words content_hash"
    return pd.DataFrame(rows, columns=names.split())


def _count_words(dialogue: Dialogue, role: str) -> int:
    return sum(len(m["content"].split()) for m in dialogue.messages if m["role"] == role)


def summarise(
    dialogues: pd.DataFrame, rejected: pd.DataFrame, requests: Sequence[Request]
) -> pd.DataFrame:
    """Count requested = accepted + rejected by source, with mean exchanges and assistant words.

    `dialogues` is the table of accepted dialogues: see `tabulate_dialogues`.
    """
    rows = []
    for source, count in Counter(request.source for request in requests).items():
        accepted = dialogues[dialogues["source"] == source]
        counts = (count, len(accepted), (rejected["source"] == source).sum())
        means = (accepted["exchanges"].mean(), accepted["assistant_words"].mean())
        rows.append((source, *counts, *means))
    names = "source requested accepted rejected mean_exchanges mean_assistant_words"
    return pd.DataFrame(rows, columns=names.split())


def tabulate_reasons(rejected: pd.DataFrame) -> pd.DataFrame:
    """Count rejected dialogues by reason, most frequent first, with one example each.

    Reasons are counted without the sentence that they quote. Columns: source, reason, dialogues,
    example.
    """
    table = rejected.assign(example=rejected["reason"], reason=rejected["reason"].map(strip_quote))
    groups = table.groupby(["source", "reason"], sort=False)["example"]
    counts = groups.agg(["size", "first"]).reset_index()
    counts.columns = ["source", "reason", "dialogues", "example"]
    counts["example"] = counts["example"].mask(counts["example"] == counts["reason"], "")
    return counts.sort_values("dialogues", ascending=False, kind="stable", ignore_index=True)


def tabulate_support(
    dialogues: Sequence[Dialogue],
    requests: Sequence[Request],
    all_replies: Sequence[Dialogue] = (),
) -> pd.DataFrame:
    """Count unsupported assistant sentences, by both definitions of support.

    `all_replies` are the dialogues of all replies, accepted or rejected; those without messages are
    not counted. If some were rejected,
    they have rows of their own: the accepted dialogues have passed one of the two checks, so their
    rate says nothing about the teacher. Questions, the key and denials of other options need no
    support and are not counted. Columns: replies (accepted or all), support, source, dialogues,
    sentences, unsupported, rate, low, high. The 95 % interval is Wilson's and treats sentences as
    independent.
    """
    by_id = {request.id: request for request in requests}
    all_replies = [dialogue for dialogue in all_replies if dialogue.messages]
    rows = [("accepted", *row) for row in _count_unsupported(dialogues, by_id)]
    if len(all_replies) > len(dialogues):
        rows += [("all", *row) for row in _count_unsupported(all_replies, by_id)]
    names = "replies support source dialogues sentences unsupported rate low high"
    return pd.DataFrame(rows, columns=names.split())


def _count_unsupported(
    dialogues: Sequence[Dialogue], by_id: Mapping[str, Request]
) -> Iterator[tuple]:
    for source in dict.fromkeys(dialogue.source for dialogue in dialogues):
        chosen = [d for d in dialogues if d.source == source]
        unsupported, total = Counter(), 0
        by_text = defaultdict(list)  # each text is analysed once
        for dialogue in chosen:
            by_text[by_id[dialogue.id].source_text].append(dialogue)
        for group in by_text.values():
            claims = [claim for d in group for claim in list_claims(d, by_id[d.id])]
            sentences = split_source(by_id[group[0].id])
            text = " ".join(sentences)
            total += len(claims)
            unsupported["verbatim"] += sum(claim not in text for claim in claims)
            links = grounding.link_sentences(claims, sentences)
            unsupported["linked"] += sum(link.verdict != "supported" for link in links)
        for support in SUPPORT:
            count = unsupported[support]
            low, high = stats.wilson_interval(count, total)
            rate = count / total if total else float("nan")
            yield support, source, len(chosen), total, count, rate, low, high


def render_table(table: pd.DataFrame) -> str:
    """Return a table as HTML, "" for an empty one; pandas would cut texts at 50 characters."""
    if table.empty:
        return ""
    with pd.option_context("display.max_colwidth", None):
        page = table.to_html(index=False, border=0, escape=True)
    return f'<div class="tex2jax_ignore mathjax_ignore">{page}</div>'


def tabulate_withheld(withheld: Sequence[Withheld]) -> pd.DataFrame:
    """One row per sentence that the prompt-injection filter took out of an article.

    Columns: article, reason, words, sentence. `words` are those that alarmed.
    """
    return pd.DataFrame(map(asdict, withheld), columns=["article", "reason", "words", "sentence"])


def tabulate_cost(teacher: Teacher, ledger: Any) -> pd.DataFrame:
    """One row: tokens and money of all runs of the study; zeros without a `Ledger`.

    Columns: teacher, model, attempts, replies, tokens, money, money_cap.
    """
    spending = ledger.spending() if isinstance(ledger, Ledger) else Spending(0, 0, 0, 0.0)
    row = {"teacher": teacher.name, "model": teacher.model, **asdict(spending)}
    return pd.DataFrame([row | {"money_cap": teacher.money_cap}])


def plot_lengths(dialogues: pd.DataFrame) -> Figure:
    """Plot histograms of assistant words and exchanges per dialogue, by source, log counts."""
    figure, (words, exchanges) = plt.subplots(1, 2, figsize=(9, 3), sharey=True)
    if len(dialogues):
        sizes = dialogues["source"].value_counts()
        rows = dialogues.assign(source=[f"{s} (n = {sizes[s]:,})" for s in dialogues["source"]])
        sns.histplot(rows, x="assistant_words", bins=30, hue="source", ax=words)
        sns.histplot(rows, x="exchanges", discrete=True, hue="source", ax=exchanges, legend=False)
        sns.move_legend(words, "lower center", bbox_to_anchor=(0.5, 1), ncol=2, title=None)
        words.set(yscale="log", ylim=(0.7, None))  # a single dialogue remains visible
        words.yaxis.set_major_formatter("{x:,.0f}")
    words.set(xlabel="assistant words per dialogue", ylabel="dialogues (log scale)")
    exchanges.set(xlabel="exchanges per dialogue")
    figure.tight_layout()
    return figure
