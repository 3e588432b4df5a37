"""Baselines without a model; a score is only meaningful next to theirs."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from clinical_camel.data import Consultation
from clinical_camel.note_synthesis.corpora import Corpora, hash_encounter
from clinical_camel.note_synthesis.prompts import flatten_text
from clinical_camel.note_synthesis.settings import NoteTask
from clinical_camel.note_synthesis.structure import parse_note
from clinical_camel.note_synthesis.writing import NOTE_COLUMNS, describe_consultation

BASELINES = ("lead copy", "majority section")


def write_baselines(corpora: Corpora, task: NoteTask) -> pd.DataFrame:
    """Return both baselines with the columns of `write_notes`.

    Their status is "ok", or "empty" without a reference or without other encounters.
    """
    rows = []
    for name in BASELINES:
        for corpus, consultations in corpora.items():
            if name == "lead copy":
                notes = map(copy_lead, consultations)
            else:
                notes = write_majority_notes(consultations, task)
            for consultation, note in zip(consultations, notes, strict=True):
                shared = describe_consultation(consultation, task)
                shared |= {"status": "ok" if note else "empty", "windows": 1, "note": note}
                shared |= {"included_turns": shared["turns"]}
                rows.append({"corpus": corpus, "model": name, **shared})
    return pd.DataFrame(rows, columns=NOTE_COLUMNS)


def copy_lead(consultation: Consultation) -> str:
    """Return the first words of the transcript, as many as the reference note has."""
    words = flatten_text(" ".join(turn.text for turn in consultation.turns)).split()
    return " ".join(words[: len(consultation.note.split())])


def write_majority_notes(rows: Sequence[Consultation], task: NoteTask) -> list[str]:
    """Return for each consultation the most typical note of the *other* encounters.

    The note has the headings of at least half of the other encounters, or at least the most
    frequent heading. With `task.headings="reference"` it has the requested headings. Under each
    heading is the most frequent text of the other encounters. If all their texts differ, it is the
    text with the highest summed cosine similarity (word counts) to the others.
    """
    parsed = [{k: v for k, v in parse_note(row.note).items() if v} for row in rows]
    encounters = [hash_encounter(row) for row in rows]
    texts = {name: _SectionTexts(name, parsed, encounters) for note in parsed for name in note}
    requested = [task.list_headings(row) if task.headings == "reference" else [] for row in rows]
    return [
        "\n\n".join(
            f"{name}:\n{text}" if name else text
            for name in headings or _choose_headings(texts, own, encounters)
            if name in texts and (text := texts[name].choose(own))
        )
        for headings, own in zip(requested, encounters, strict=True)
    ]


def _choose_headings(texts: Mapping, own: str, encounters: Sequence[str]) -> list[str]:
    """Return the headings that at least half of the other encounters have."""
    others = sum(encounter != own for encounter in encounters)
    counts = {name: int((section.encounters != own).sum()) for name, section in texts.items()}
    least = min(others / 2, max(counts.values(), default=0)) or 1
    return [name for name, count in counts.items() if count >= least]


class _SectionTexts:
    """All texts under one heading, with their encounters and word-count vectors of length 1."""

    def __init__(
        self, name: str, parsed: Sequence[Mapping[str, str]], encounters: Sequence[str]
    ) -> None:
        rows = [(e, note[name]) for e, note in zip(encounters, parsed, strict=True) if name in note]
        self.encounters = np.array([encounter for encounter, _ in rows])
        self.texts = [text for _, text in rows]
        bags = [Counter(text.lower().split()) for text in self.texts]
        column = {word: i for i, word in enumerate(sorted(set().union(*bags)))}
        counts = np.zeros((len(bags), len(column)), dtype=np.float32)
        for i, bag in enumerate(bags):
            counts[i, [column[word] for word in bag]] = list(bag.values())
        self.vectors = counts / np.linalg.norm(counts, axis=1, keepdims=True).clip(1e-9)

    def choose(self, own: str) -> str:
        """Return the most frequent text of the other encounters, or else the most typical one."""
        others = np.flatnonzero(self.encounters != own)
        if not len(others):
            return ""
        text, count = Counter(self.texts[i] for i in others).most_common(1)[0]
        if count > 1:
            return text
        vectors = self.vectors[others]
        return self.texts[others[int(np.argmax(vectors @ vectors.sum(axis=0)))]]
