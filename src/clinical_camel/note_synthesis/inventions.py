"""Names to invent (inventions.csv): drugs, diagnoses, findings, people.

Written for planting errors, from general knowledge and without a look at the terms of
`clinical_camel.grounding`: a check must not be measured on its own word lists.
"""

import random
from collections.abc import Sequence

from clinical_camel.note_synthesis.word_lists import read_groups

NAMES = read_groups("inventions.csv")
GENERICS, BRANDS, COMMON_DRUGS = (NAMES[k] for k in ("generic drug", "brand", "common drug"))
DIAGNOSES, SYMPTOMS, FINDINGS = (NAMES[k] for k in ("diagnosis", "symptom", "finding"))
PEOPLE, RELATIVES = NAMES["person"], NAMES["relative"]
_STARTS = ("Bra", "Cor", "Del", "Fri", "Glo", "Hes", "Jur", "Kal", "Mor", "Ner", "Pla", "Saes")
_MIDDLES = ("be", "do", "li", "ma", "no", "ra", "ti", "vo")
_ENDS = ("nkia", "rion", "staria", "llosis", "mpsia", "ndritis", "tosis", "quoria", "vea", "sma")
_WITH = ("", "", " disease", " syndrome", " abscess", " fever")


def invent_disease(rng: random.Random) -> str:
    """Return the name of a disease that does not exist.

    >>> invent_disease(random.Random(1))
    'Deldompsia'
    """
    return "".join(map(rng.choice, (_STARTS, _MIDDLES, _ENDS, _WITH)))


def choose_absent(names: Sequence[str], source: str, rng: random.Random) -> str:
    """Return a name of which the source (lower case) has no word of four letters; "" for none."""
    return rng.choice([name for name in names if not _has_word(name, source)] or [""])


def _has_word(name: str, source: str) -> bool:
    return any(word in source for word in name.lower().split() if len(word) > 3)
