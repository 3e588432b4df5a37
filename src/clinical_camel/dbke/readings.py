"""A second reader marks the assistant's sentences; the notebook compares them with the check.

`write_sheet` writes what the reader gets: a text file per dialogue, without any verdict of the
check, and a CSV file to fill in. `load_readings` reads the filled file.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from clinical_camel import data, grounding, stats
from clinical_camel.core.ratings import escape_cell, unescape_cell
from clinical_camel.core.tables import read_table
from clinical_camel.core.values import nearest
from clinical_camel.data import Dialogue
from clinical_camel.dbke import checks
from clinical_camel.dbke.requests import Request
from clinical_camel.teachers import injection

READINGS = {
    "stated": "the article states it",
    "reworded without change": "the article states it in other words; nothing is added or changed",
    "adds something": "the article does not state all of it",
    "contradicts": "the article states something else",
    "no statement": "a question, an offer, or that the text does not say something",
}
TASK = """\
Read each article and its conversation, dialogue_01.txt and so on. In readings.csv, mark every
numbered sentence of the assistant: write one of these readings into the column `reading`, and, if
you like, why into `comment`. Compare with the article above the conversation only, not with what
you know of medicine. Sentences before it in the conversation may say what "it" or "this" means.
"""
WRONG = ("adds something", "contradicts")
SHEET = ["dialogue", "sentence", "text", "reading", "comment"]
COLUMNS = ["reading", "sentences", "supported", "unsupported", "contradicted", "not_checked"]


def list_sentences(dialogue: Dialogue) -> list[str]:
    """Return the assistant's sentences in order; they are numbered from 1."""
    answers = [m["content"] for m in dialogue.messages if m["role"] == "assistant"]
    return [s for text in answers for s in grounding.split_sentences(injection.clean(text))]


def write_sheet(
    dialogues: Sequence[Dialogue], requests: Mapping[str, Request], folder: Path
) -> None:
    """Write task.txt, dialogue_01.txt, ... and readings.csv to fill in; `requests`: by id."""
    folder.mkdir(parents=True, exist_ok=True)
    task = "\n".join([TASK, *(f"- {name}: {meaning}" for name, meaning in READINGS.items()), ""])
    (folder / "task.txt").write_text(task, encoding="utf-8")
    rows = []
    for n, dialogue in enumerate(dialogues, 1):
        text = _format_page(dialogue, requests[dialogue.id])
        (folder / f"dialogue_{n:02}.txt").write_text(text, encoding="utf-8")
        sentences = map(escape_cell, list_sentences(dialogue))
        rows += [(dialogue.id, k, text, "", "") for k, text in enumerate(sentences, 1)]
    table = pd.DataFrame(rows, columns=SHEET)
    table.to_csv(folder / "readings.csv", index=False, lineterminator="\n")


def _format_page(dialogue: Dialogue, request: Request) -> str:
    """Return article and dialogue as plain text; the assistant's sentences are numbered."""
    lines, number = [], 0
    for message in dialogue.messages:
        if message["role"] == "assistant":
            lines.append("assistant:")
            for sentence in grounding.split_sentences(injection.clean(message["content"])):
                number += 1
                lines.append(f"  [{number}] {sentence}")
        else:
            lines += ["", f"user: {message['content']}"]
    article = data.format_article(request.article)
    return f"DIALOGUE {dialogue.id}\n\nARTICLE\n\n{article}\n\nCONVERSATION\n" + "\n".join(
        [*lines, ""]
    )


def load_readings(file: Path | None) -> pd.DataFrame:
    """Return a filled table of a second reader: the columns SHEET, and `reader`; empty for None.

    Raises ValueError, which names file and line, for an unknown or missing reading, for a sentence
    that is no number, and as `core.tables.read_table`.
    """
    if file is None:
        return pd.DataFrame(columns=[*SHEET, "reader"])
    content = read_table(file)
    if missing := [name for name in SHEET if name not in content.columns]:
        raise ValueError(f"{file.name}: no column {', '.join(missing)}")
    if not content.rows:
        raise ValueError(f"{file.name}: no rows; write a filled readings.csv of `write_sheet`")
    for line, row in zip(content.lines, content.rows, strict=True):
        reading, number = row["reading"], row["sentence"]
        if not number.isdecimal():
            raise ValueError(
                f"{file.name}: line {line}: sentence: {number!r} is no number; write that of the "
                "sentence in the conversation, such as 1"
            )
        if reading not in READINGS:
            hint = nearest(reading, [*READINGS]) or f"; write one of: {', '.join(READINGS)}"
            raise ValueError(f"{file.name}: line {line}: reading: {reading!r} is unknown{hint}")
    table = pd.DataFrame(content.rows)
    texts, numbers = table["text"].map(unescape_cell), table["sentence"].astype(int)
    return table.assign(text=texts, sentence=numbers, reader=table.get("reader", ""))


def tabulate_readings(
    readings: pd.DataFrame, dialogues: Sequence[Dialogue], requests: Mapping[str, Request]
) -> pd.DataFrame:
    """Count the second reader's readings by the verdict of the `linked` check.

    Sentences of dialogues that this run does not have are not counted, nor paraphrases: the reader
    read dialogues. `not_checked`: questions and "The text does not say.". Columns: COLUMNS. Raises
    ValueError if a text is not that of the dialogue: the reader read another reply.
    """
    by_id = {dialogue.id: dialogue for dialogue in dialogues if dialogue.messages}
    counts = pd.DataFrame(0, index=list(READINGS), columns=COLUMNS[1:])
    for name, rows in readings.groupby("dialogue", sort=False):
        if name in by_id and requests[name].task == "dialogue":
            for reading, verdict in _pair(rows, by_id[name], requests[name]):
                counts.loc[reading, ["sentences", verdict]] += 1
    return counts[counts["sentences"] > 0].rename_axis("reading").reset_index()


def _pair(rows: pd.DataFrame, dialogue: Dialogue, request: Request) -> Iterator[tuple[str, str]]:
    """Yield reading and verdict of each sentence that was read."""
    sentences = list_sentences(dialogue)
    source = checks.split_source(request)
    claims = dict.fromkeys(checks.list_claims(dialogue, request))
    links = grounding.link_sentences(list(claims), source)
    verdicts = {link.sentence: link.verdict for link in links}
    for row in rows.itertuples():
        if sentences[row.sentence - 1 : row.sentence] != [row.text]:
            raise ValueError(
                f"readings: sentence {row.sentence} of {dialogue.id} is another text now; the "
                "second reader read another reply"
            )
        verdict = "supported" if row.text in source else verdicts.get(row.text, "not_checked")
        yield row.reading, verdict


def describe_readings(readings: pd.DataFrame, table: pd.DataFrame) -> list[str]:
    """Return what `tabulate_readings` shows, one statement per item (Markdown)."""
    counts = table.set_index("reading")
    checked = counts[["supported", "unsupported", "contradicted"]]
    if not checked.to_numpy().sum():
        return []
    readers = ", ".join(sorted(set(readings["reader"]) - {""})) or "not stated"
    read = f"{readings['dialogue'].nunique()} dialogues"
    texts = [
        f"A second reader ({readers}) marked every sentence of the assistant in {read}. Those of "
        "this run are compared."
    ]
    supported, flagged = checked["supported"], checked.drop(columns="supported").sum(axis=1)
    if supported.sum():
        parts = ", ".join(f"{supported.get(name, 0):,} {name}" for name in READINGS)
        texts.append(
            f"Of {supported.sum():,} sentences that the `linked` check supports, the reader marked:"
            f" {parts}. The check missed {_format_rate(supported, WRONG)}."
        )
    if flagged.sum():
        texts.append(
            f"Of {flagged.sum():,} sentences that the `linked` check does not support, the reader "
            f"did not find an error in {_format_rate(flagged, set(READINGS) - set(WRONG))}: false "
            "alarms."
        )
    return texts


def _format_rate(counts: pd.Series, names: Collection[str]) -> str:
    """Return how many of the counted sentences have these readings, with share and interval."""
    number, total = int(counts[counts.index.isin(list(names))].sum()), int(counts.sum())
    low, high = stats.wilson_interval(number, total)
    return f"{number:,} ({number / total:.1%} [{low:.1%}, {high:.1%}])"
