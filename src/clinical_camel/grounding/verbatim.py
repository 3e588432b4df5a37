"""The verbatim reading: a sentence counts only if the source contains it word for word."""

import functools
import re
from collections.abc import Sequence

import bm25s

_END = re.compile(r"(?:(?<=[.!?])|(?<=[.!?][\"')\]]))\s+(?=[\"'(\[]?[A-Z0-9])")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|et al|cf|vs|Dr|Mr|Mrs|Ms|Prof|St|Fig|Figs|Tab|No|approx|ca)|\b[A-Z])\.$"
)
# Of a line of a note: bullet or number, then a heading that closes with a colon.
_LEAD = re.compile(r"^\s*(?:[•*-]\s*|\d+[.)]\s+)?(?:[A-Z][A-Za-z ,/&]{1,40}:(?=\s|$))?")


def split_sentences(text: str) -> list[str]:
    """The sentences of a text, white space collapsed; abbreviations and initials do not end one.

    >>> split_sentences("Give 2.5 mg, e.g. at night.  Dr. Ho agrees. It works!")
    ['Give 2.5 mg, e.g. at night.', 'Dr. Ho agrees.', 'It works!']
    """
    sentences: list[str] = []
    for piece in _END.split(" ".join(text.split())):
        if sentences and _ABBREVIATION.search(sentences[-1]):
            sentences[-1] += " " + piece
        elif piece:
            sentences.append(piece)
    return sentences


def unsupported(text: str, source: str) -> list[str]:
    """The sentences of `text` that `source` does not contain word for word.

    >>> unsupported("Gout hurts. It never ends.", "As a rule:  Gout hurts.")
    ['It never ends.']
    """
    haystack = _spaced_once(source)
    return [s for s in split_sentences(text) if s not in haystack]


@functools.lru_cache(maxsize=16)  # one source is asked about again and again
def _spaced_once(text: str) -> str:
    return " ".join(text.split())


def best_support(claims: Sequence[tuple[str, str]], sentences: Sequence[str]) -> list[str]:
    """For each (question, answer) the sentence that best supports the answer, or "".

    The five best by BM25 (bm25s) are read in order. A sentence supports an answer if it holds two
    thirds of the answer's words of four letters or more, and one such word of the question.

    >>> best_support([("What prevents gout?", "allopurinol")], ["Gout: allopurinol.", "No."])
    ['Gout: allopurinol.']
    """
    known = list(dict.fromkeys(sentences))
    if not known or not claims:
        return [""] * len(claims)
    index = bm25s.BM25()
    index.index(bm25s.tokenize(known, show_progress=False), show_progress=False)
    queries = bm25s.tokenize([" ".join(claim) for claim in claims], show_progress=False)
    found, _ = index.retrieve(queries, k=min(5, len(known)), show_progress=False)
    return [
        next((known[i] for i in row if _supports(known[i], *claim)), "")
        for claim, row in zip(claims, found, strict=True)
    ]


def _supports(sentence: str, question: str, answer: str) -> bool:
    have, needed = _content(sentence), _content(answer)
    asked = _content(question) - needed
    return bool(needed) and 3 * len(needed & have) >= 2 * len(needed) and bool(asked & have)


def _content(text: str) -> set[str]:
    return set(re.findall(r"\w{4,}", text.lower()))


def split_note(note: str) -> list[str]:
    """The sentences of a clinical note, line by line, without bullets, numbers and headings.

    >>> split_note("PLAN\\n1. Rest. Fluids.\\n• Neck: No pain.")
    ['Rest.', 'Fluids.', 'No pain.']
    """
    lines = (_LEAD.sub("", line).strip() for line in note.splitlines())
    said = (line for line in lines if line and not line.isupper() and not line.endswith(":"))
    found = (sentence for line in said for sentence in split_sentences(line))
    return [sentence for sentence in found if re.search("[A-Za-z]", sentence)]
