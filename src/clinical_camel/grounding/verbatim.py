"""Sentences of a text, and verbatim support: the source must contain a sentence word for word."""

import functools
import re
from collections.abc import Sequence

import bm25s

_END = re.compile(r"(?:(?<=[.!?])|(?<=[.!?][\"')\]]))\s+(?=[\"'(\[]?[A-Z0-9])")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|et al|cf|vs|Dr|Mr|Mrs|Ms|Prof|St|Fig|Figs|Tab|No|approx|ca)|\b[A-Z])\.$"
)
# At the start of a line of a note: bullet or number, then a heading that ends with a colon.
_LEAD = re.compile(r"^\s*(?:[•*-]\s*|\d+[.)]\s+)?(?:[A-Z][A-Za-z ,/&]{1,40}:(?=\s|$))?")

# A line that only names a part of the body or of the note.
_SECTION = re.compile(
    r"(?:(?:and|&|/|,|the|past|history|exam(?:ination)?|systems?|review|of|general|surgical|medical"
    r"|social|family|neck|eyes?|ears?|nose|throat|head|skin|chest|lungs?|heart|abdomen|pelvic"
    r"|extremities|back|spine|vitals?|psychiatric|constitutional|cardiovascular|respiratory"
    r"|pulmonary|gastrointestinal|genitourinary|musculoskeletal|neurolog(?:ic|ical)|integumentary"
    r"|endocrine|hematologic|lymphatic|allergic|immunologic|heent|medications?|allergies"
    r"|assessment|plan|reasoning|treatment|education|counseling|results?|impression|subjective"
    r"|objective|instructions)\b[\s.]*)+",
    re.IGNORECASE,
)


def split_sentences(text: str) -> list[str]:
    """Split a text into sentences, white space collapsed; abbreviations do not end one.

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


def find_unsupported(text: str, source: str) -> list[str]:
    """Return the sentences of `text` that `source` does not contain word for word.

    >>> find_unsupported("Gout hurts. It never ends.", "As a rule:  Gout hurts.")
    ['It never ends.']
    """
    haystack = _collapse_spaces(source)
    return [s for s in split_sentences(text) if s not in haystack]


@functools.lru_cache(maxsize=16)  # many texts have the same source
def _collapse_spaces(text: str) -> str:
    return " ".join(text.split())


def find_support(claims: Sequence[tuple[str, str]], sentences: Sequence[str]) -> list[str]:
    """Return, for each (question, answer), the sentence that best supports the answer, or "".

    The five best by BM25 (bm25s) are tried in order. A sentence supports an answer if it contains
    two thirds of the answer's words of four letters or more, and one such word of the question.

    >>> find_support([("What prevents gout?", "allopurinol")], ["Gout: allopurinol.", "No."])
    ['Gout: allopurinol.']
    """
    sentences = list(dict.fromkeys(sentences))
    if not sentences or not claims:
        return [""] * len(claims)
    index = bm25s.BM25()
    index.index(bm25s.tokenize(sentences, show_progress=False), show_progress=False)
    queries = bm25s.tokenize([" ".join(claim) for claim in claims], show_progress=False)
    ranked, _ = index.retrieve(queries, k=min(5, len(sentences)), show_progress=False)
    return [
        next((sentences[i] for i in best if _supports(sentences[i], *claim)), "")
        for claim, best in zip(claims, ranked, strict=True)
    ]


def _supports(sentence: str, question: str, answer: str) -> bool:
    present, needed = _long_words(sentence), _long_words(answer)
    topic = _long_words(question) - needed
    is_answered = bool(needed) and 3 * len(needed & present) >= 2 * len(needed)
    return is_answered and bool(topic & present)


def _long_words(text: str) -> set[str]:
    return set(re.findall(r"\w{4,}", text.lower()))


def split_note(note: str) -> list[str]:
    """Split a clinical note into sentences, line by line, without bullets, numbers and headings.

    >>> split_note("PLAN\\n1. Rest. Fluids.\\n• Neck: No pain.")
    ['Rest.', 'Fluids.', 'No pain.']
    """
    lines = (_LEAD.sub("", line).strip() for line in note.splitlines())
    prose = (
        line
        for line in lines
        if line and not line.isupper() and not line.endswith(":") and not _SECTION.fullmatch(line)
    )
    sentences = (sentence for line in prose for sentence in split_sentences(line))
    return [sentence for sentence in sentences if re.search("[A-Za-z]", sentence)]
