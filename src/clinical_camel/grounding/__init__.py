"""Which source sentence stands behind which written sentence: for dialogues and for notes.

Two readings. `unsupported` and `best_support` are verbatim: nothing is inferred, so nothing is
explained away. `link` allows other words, and holds every fact strictly. `facts` and `kept` ask the
other way round: what of the source was left out.
"""

from clinical_camel.grounding.copies import language, near_duplicates
from clinical_camel.grounding.linking import VERDICTS, Judge, Link, kept, link
from clinical_camel.grounding.reading import KINDS, Fact, Turn, facts
from clinical_camel.grounding.verbatim import best_support, split_note, split_sentences, unsupported

__all__ = [
    "KINDS",
    "VERDICTS",
    "Fact",
    "Judge",
    "Link",
    "Turn",
    "best_support",
    "facts",
    "kept",
    "language",
    "link",
    "near_duplicates",
    "split_note",
    "split_sentences",
    "unsupported",
]
