"""Notes that need no model: what a score has to be compared with before it means anything."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from clinical_camel import data
from clinical_camel.data import Consultation
from clinical_camel.note_synthesis.prompts import Request, Visits, plain_text
from clinical_camel.note_synthesis.structure import parse_note
from clinical_camel.note_synthesis.writing import encounter


def baseline_notes(visits: Visits, request: Request) -> pd.DataFrame:
    """Both baselines with the columns of `write_notes`; they are not judged: "ok", or "empty"."""
    makers: dict[str, Callable] = {
        "lead copy": lambda rows: [lead_copy(row) for row in rows],
        "majority section": lambda rows: majority_notes(rows, request),
    }
    return pd.DataFrame(
        {
            "corpus": corpus,
            "model": name,
            "id": row.id,
            "encounter": encounter(row),
            "content_hash": data.content_hash(row),
            "asked": "; ".join(request.asked(row)),
            "status": "ok" if note else "empty",  # no reference, or nothing to take from others
            "turns": len(row.turns),
            "kept_turns": len(row.turns),
            "windows": 1,
            "note": note,
        }
        for name, make in makers.items()
        for corpus, rows in visits.items()
        for row, note in zip(rows, make(rows), strict=True)
    )


def lead_copy(visit: Consultation) -> str:
    """The start of the transcript without the speakers, as many words as the reference has."""
    words = plain_text(" ".join(turn.text for turn in visit.turns)).split()
    return " ".join(words[: len(visit.note.split())])


def majority_notes(rows: Sequence[Consultation], request: Request) -> list[str]:
    """For each visit the most typical note of the *other* encounters: nothing of its own is read.

    It has the headings that at least half of the others have (at least the most frequent one), or
    with `headings="reference"` those asked for; and under each the text that most of the others
    have, word for word, or, where all differ, the one that shares most words with the rest.
    """
    parsed = [{k: v for k, v in parse_note(row.note).items() if v} for row in rows]
    encounters = [encounter(row) for row in rows]
    shelves = {name: _Shelf(name, parsed, encounters) for note in parsed for name in note}
    own = request.headings == "reference"
    return [
        "\n\n".join(
            f"{name}:\n{text}" if name else text
            for name, text in _typical(shelves, own and request.asked(row), mine, encounters)
            if text
        )
        for row, mine in zip(rows, encounters, strict=True)
    ]


def _typical(shelves: Mapping, asked: Sequence[str], mine: str, encounters: Sequence[str]):
    others = sum(each != mine for each in encounters)
    counts = {name: shelf.others(mine) for name, shelf in shelves.items()}
    least = min(others / 2, max(counts.values(), default=0)) or 1
    chosen = asked or [name for name, count in counts.items() if count >= least]
    return [(name, shelves[name].text(mine)) for name in chosen if name in shelves]


class _Shelf:
    """All texts that stand under one heading, and which of them is typical."""

    def __init__(
        self, name: str, parsed: Sequence[Mapping[str, str]], encounters: Sequence[str]
    ) -> None:
        held = [(e, note[name]) for e, note in zip(encounters, parsed, strict=True) if name in note]
        self.encounters = np.array([e for e, _ in held])
        self.texts = [text for _, text in held]
        bags = [Counter(text.lower().split()) for text in self.texts]
        place = {word: i for i, word in enumerate(sorted(set().union(*bags)))}
        counts = np.zeros((len(bags), len(place)), dtype=np.float32)
        for i, bag in enumerate(bags):
            counts[i, [place[word] for word in bag]] = list(bag.values())
        self.vectors = counts / np.linalg.norm(counts, axis=1, keepdims=True).clip(1e-9)

    def others(self, mine: str) -> int:
        return int((self.encounters != mine).sum())

    def text(self, mine: str) -> str:
        """The most frequent text of the other encounters, else the one most like the rest."""
        others = np.flatnonzero(self.encounters != mine)
        if not len(others):
            return ""
        text, count = Counter(self.texts[i] for i in others).most_common(1)[0]
        if count > 1:
            return text
        vectors = self.vectors[others]
        return self.texts[others[int(np.argmax(vectors @ vectors.sum(axis=0)))]]
