"""One good row of each shape, as plain values, and files of rows."""

import json
from pathlib import Path
from typing import Any

from clinical_camel import data

QUESTION = {"id": "q1", "question": "Which?", "options": ["x", "y"], "answer": 1}
DIALOGUE = {
    "id": "d1",
    "source": "toy",
    "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}],
}
ARTICLE = {"id": "a1", "title": "T", "sections": [{"heading": "", "text": "Words."}]}
CONSULTATION = {
    "id": "c1",
    "turns": [{"speaker": "doctor", "text": "Hi"}, {"speaker": "patient", "text": "Ow"}],
    "note": "Pain.",
}
SHAPES = {
    "Question": (data.Question, QUESTION),
    "Dialogue": (data.Dialogue, DIALOGUE),
    "Article": (data.Article, ARTICLE),
    "Consultation": (data.Consultation, CONSULTATION),
}
LETTERED = {  # a question in the schema of the files in data/public
    "id": "m1",
    "question": "Which?",
    "options": {"A": "x", "B": "y", "C": "z"},
    "answer": "B",
    "subject": "anatomy",
    "image_suspected": True,
}


def number_rows(row: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """Copies of a row with the ids 0, 1, 2, ... after the first letter of its id."""
    return [row | {"id": f"{row['id'][0]}{i}"} for i in range(count)]


def write_rows(file: Path, rows: list[dict[str, Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
