"""Plant one error in one sentence of a note: which kinds there are, and the rules of each.

The exercise of notebook 04 and `benchmarks/grounding.py` plant by the same rules. The rules use
word lists of their own (`inventions`) and nothing of `clinical_camel.grounding`, whose check they
are there to test. A new value never occurs in the source: otherwise the changed sentence might be
true.
"""

import random
import re
from collections.abc import Sequence

from clinical_camel.note_synthesis import inventions
from clinical_camel.note_synthesis.edits import (
    SPELLED,
    Edit,
    any_of,
    append,
    change,
    exchange,
    map_words,
    name_from,
    rewrite,
    scale,
    shift,
)
from clinical_camel.note_synthesis.word_lists import read_rows

NUMBER = r"(?<![\w./-])\d+(?:\.\d+)?"
DOSE_UNIT = r"mg|mcg|micrograms?|milligrams?|grams?|g|ml|units?|puffs?|tablets?"
TIME = r"(?:second|minute|hour|day|night|week|month|year)s?"
COUNT = rf"(?:{NUMBER}|(?<![\w-])(?:{'|'.join(SPELLED[1:13])}))"
DOSE = rf"{NUMBER}(?=[ -]?(?:{DOSE_UNIT})\b)"
AGE = r"\b\d+(?=[ -]?(?:years?|yrs?)?[ -]?(?:old|y/?o)\b)|(?<=\baged )\d+"

_COUNTERPARTS: dict[str, dict[str, list[str]]] = {}  # by kind and word
for _kind, _word, _other in read_rows("counterparts.csv"):
    _COUNTERPARTS.setdefault(_kind, {}).setdefault(_word, []).append(_other)
_UNITS, _FREQUENCIES, _SIDES = (_COUNTERPARTS[kind] for kind in ("unit", "frequency", "side"))
_DRUGS = any_of([*inventions.COMMON_DRUGS, *inventions.GENERICS, *inventions.BRANDS])
_MALE = ("him", "he", "his", "male", "man", "men", "boy", "boys", "gentleman", "mr")
_FEMALE = ("her", "she", "her", "female", "woman", "women", "girl", "girls", "lady", "ms")
_SEX = dict(zip([*_MALE, *_FEMALE, "mrs"], [*_FEMALE, *_MALE, "mr"], strict=True))
_PATIENT = r"^(?:The patient|Patient|She|He|(?:Mr|Mrs|Ms)\.? [A-Z][a-z]+)\b"
_OTHERS = ("grandfather", "aunt", "uncle", "son", "wife", "husband", "mom", "dad", "cousin")
_OF_FAMILY = rf"(?:{any_of([*inventions.RELATIVES, *_OTHERS])})"
_FAMILY = re.compile(rf"\b{_OF_FAMILY}\b|\bfamily\b", re.IGNORECASE)
_TAKES = ("{}, and takes {}.", "{}, prescribed {}.", "{}, on {}.")
_SUFFERS = ("{}, consistent with {}.", "{}, due to {}.", "{}, with a history of {}.")
_STARTS = "Takes|Smokes|Has|Denies|Reports|Endorses|Complains of|Presents with|Drinks|Uses"


def change_sex(sentence: str, source: str, rng: random.Random) -> str:
    """Replace the words of one sex by the other's, if the sentence is not about a relative.

    The source must have such a word: what was never said cannot be contradicted.
    """
    pattern = rf"\b(?:{'|'.join(_SEX)})\b"
    if _FAMILY.search(sentence) or not re.search(pattern, source):
        return ""
    return re.sub(pattern, lambda m: map_words({k: (v,) for k, v in _SEX.items()})(m, "", rng),
                  sentence, flags=re.IGNORECASE)  # fmt: skip


def move_to_family(sentence: str, source: str, rng: random.Random) -> str:
    """Let a relative have what the patient has."""
    if _FAMILY.search(sentence):
        return ""
    whose = rng.choice(("Her", "His")) if " his " not in f" {source} " else "His"
    person = f"{whose} {rng.choice(inventions.RELATIVES)}"
    if re.search(_PATIENT, sentence):
        return re.sub(_PATIENT, person, sentence)
    if match := re.match(rf"(?:{_STARTS})\b", sentence):
        return f"{person} {match[0][0].lower()}{sentence[1:]}"
    return ""


def read_rewrites(kind: str) -> Edit:
    """Return the edit with the pairs of this kind in rewrites.csv; FAMILY is any relative."""
    rows = [row for row in read_rows("rewrites.csv") if row[0] == kind]
    return rewrite(*((pattern.replace("FAMILY", _OF_FAMILY), new) for _, pattern, new in rows))


KINDS: dict[str, Sequence[Edit]] = {
    "dose": (change(DOSE, scale(2, 3, 4, 0.5, 0.25)),),
    "dose wrong by a factor of 10 to 1,000": (change(DOSE, scale(10, 100, 1000, 0.1, 0.01)),),
    "unit": (
        change(rf"(?<=\d[ -])(?:{any_of([*_UNITS])})\b(?![ -]old)", map_words(_UNITS)),
        change(r"(?<=\d)(?:mg|mcg|g|cm|mm)\b", map_words(_UNITS)),
    ),
    "number": (
        change(
            rf"{NUMBER}(?![\w.]|[ -]?(?:%|/|-|{DOSE_UNIT}|{TIME}|years?|y/?o)\b|[/:-]\d|\.\d)",
            shift(1, 2, 3, 5, 8, -2, -3),
        ),
        change(r"(?<![\w./])\d{2,3}(?=/\d{2})", shift(20, -20, 40)),
    ),
    "frequency": (
        change(rf"(?<!for )(?<!in )(?<!over )\b(?:{any_of([*_FREQUENCIES])})\b"
               r"(?! living| activ| basis| ago)", map_words(_FREQUENCIES)),
        change(rf"(?<=every )(?:{NUMBER}|two|four|six|eight)(?= hours)", scale(2, 0.5, 3)),
    ),
    "duration": (
        change(rf"{COUNT}(?=[ -]{TIME}\b(?![ -]old))", shift(1, 2, 3, 5)),
    ),
    "side": (
        change(r"\b(?:left|(?<!all )(?<!is )right(?! now| away| here| there)|bilateral(?:ly)?)\b",
               map_words(_SIDES)),
    ),
    "swapped doses": (exchange(rf"{NUMBER}[ -]?(?:{DOSE_UNIT})\b"),),
    "swapped sides": (exchange(r"\b(?:left|right)\b"),),
    "swapped times": (exchange(rf"{COUNT}[ -]{TIME}\b(?![ -]old)"),),
    "invented drug (generic name)": (append(_TAKES, name_from(inventions.GENERICS)),),
    "invented drug (brand name)": (append(_TAKES, name_from(inventions.BRANDS)),),
    "swapped drug": (
        change(rf"\b(?:{_DRUGS})\b",
               lambda m, source, rng: inventions.choose_absent(inventions.GENERICS, source, rng)),
    ),
    "invented diagnosis (real disease)": (append(_SUFFERS, name_from(inventions.DIAGNOSES)),),
    "invented diagnosis (no such disease)": (
        append(_SUFFERS, lambda source, rng: inventions.invent_disease(rng)),
    ),
    "invented symptom": (
        append(("{} and {}.", "{}, and reports {}.", "{}, with {}."),
               name_from(inventions.SYMPTOMS)),
    ),
    "added finding": (append(("{} and {}.", "{}, {}."), name_from(inventions.FINDINGS)),),
    "negated finding": (read_rewrites("negated finding"),),
    "negated verb": (read_rewrites("negated verb"),),
    "patient's finding moved to family": (move_to_family,),
    "family history moved to the patient": (read_rewrites("family history moved to the patient"),),
    "past made current": (read_rewrites("past made current"),),
    "current made past": (read_rewrites("current made past"),),
    "possible made certain": (read_rewrites("possible made certain"),),
    "certain made possible": (read_rewrites("certain made possible"),),
    "age": (change(AGE, shift(-12, -9, -7, -5, 5, 7, 9, 12)),),
    "sex": (change_sex,),
    "name": (
        change(r"(?<=M(?-i:r)\. )[A-Z][a-z]+|(?<=M(?-i:rs)\. )[A-Z][a-z]+|(?<=Ms\. )[A-Z][a-z]+"
               r"|^(?!The\b|This\b)(?-i:[A-Z])[a-z]+(?= (?-i:[A-Z])[a-z]+ is an? \d)",
               lambda m, source, rng: inventions.choose_absent(inventions.PEOPLE, source, rng)),
    ),
}  # fmt: skip


def plant(kind: str, sentence: str, source: str, rng: random.Random) -> str:
    """Return the sentence with one error of a kind, or "" if it allows none.

    >>> plant("side", "Pain in the left knee.", "my left knee hurts", random.Random(0))
    'Pain in the right knee.'
    >>> plant("dose", "Pain in the left knee.", "my left knee hurts", random.Random(0))
    ''
    """
    edits = KINDS[kind]
    for edit in rng.sample(edits, len(edits)):
        changed = edit(sentence, source, rng)
        if changed and changed.lower() != sentence.lower():
            return changed
    return ""
