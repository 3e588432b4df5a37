"""Which words name a finding or a medication, and what means the same.

The names are in terms.csv, each with its source; benchmarks/grounding_terms.py says how they were
found, and writes them (the texts that they come from: MedQuAD, ACI-Bench and MTS-Dialog, CC BY
4.0). A drug that is not there is known by the ending of its name.
"""

import csv
import functools
import importlib.resources
import re
from typing import NamedTuple

import Stemmer
from bm25s.stopwords import STOPWORDS_EN_PLUS

_FILLERS = "um uh okay ok yeah yes well know like would could also mm hmm hm gonna gon na wan wanna"
_FILLERS += " got get go going let us see say said tell think mean really sure right left"
STOP = frozenset(STOPWORDS_EN_PLUS) | set(_FILLERS.split())  # of NLTK, in bm25s; and fillers
# Stems of international nonproprietary names (WHO, "The use of stems in the selection of INN",
# 2018, as we recall them): the commoner ones, most of which end a name and few other words.
_INN = re.compile(
    r"\w{2,}(?:pril|sartan|olol|vastatin|cillin|mycin|micin|conazole|nidazole|prazole|tidine|mab"
    r"|tinib|ciclib|parib|vir|oxacin|cycline|dipine|semide|thiazide|gliptin|gliflozin|tide"
    r"|triptan|setron|azepam|azolam|caine|coxib|profen|parin|xaban|gatran|oxetine|lukast|terol"
    r"|tropium|fibrate|dronate|formin|glitazone|barbital|rubicin|platin|taxel|trexate|fentanil"
    r"|codone|morphone|zosin|tadine|pramine|triptyline|predniso(?:lo)?ne|methasone"
    r"|cortisone|metacin|oxicam|dopa|glimide|citabine|pezil|gabalin|bapentin|afil|olimus|nercept"
    r"|tacept|plase|poetin|grastim|grel|glinide|tecan|sentan|racetam|perid(?:ol|one)|[az]apine"
    r"|stigmine|mantine|fenacin|begron|faxine|oxifene|uracil|gestrel|vudine|virine|toin|salazine"
    r"|bendazole|quine|terone|steride|relix|relin|vaptan|tiazem|bactam|lisib|zepine|thiazine"
    r"|phylline|dralazine|ergoline|criptine|penem|oprim|fungin|zolid|fenac|mustine|thioprine"
    r"|calcet|nidine|trexone|purinol)"
    r"|rifa[a-z]{4,}|sulfa[a-z]{5,}"
    r"|cef[a-z]{4,}|predniso(?:lo)?ne|aspirin|insulin|paracetamol|acetaminophen|warfarin|digoxin"
    r"|heparin|codeine|morphine"
)
# Endings that name a finding; words that make one of the word before or after them.
_FINDING = re.compile(
    r"\w{3,}(?:itis|a?emia|uria|algia|pathy|megaly|rrh(?:o?ea|age)|plegia|paresis|phagia|phasia"
    r"|pnea|cardia|penia|rexia|dynia|ptysis|ache|rrhoids?)"
)
_AILING = re.compile(
    r"pains?|aches?|discomfort|swelling|bleeding|discharge|tenderness|weakness|stiffness|numbness"
    r"|rash|spasms?|cramps|tightness|soreness"
)
_TROUBLE = re.compile(r"trouble|difficult(?:y|ies)|problems?|loss|lack|changes?")
_DIFFICULT = re.compile(r"difficulty|difficulties|problems?")
_SICK = re.compile(r"swollen|painful|itchy|sore|dark|bloody|pale|frequent|blurry|unusual")
_ANY = re.compile(  # before them, and no part of the name
    r"severe|mild|moderate|acute|chronic|significant|intermittent|constant|sharp|dull|more|less"
    r"|increas(?:ed|ing)|worse(?:ning)?|much|new|associated|persistent|any|other|some|bad|without"
    r"|denies|reports|endorses|having|experiencing|current|subjective|daytime|baseline"
)
_NO_DRUG = re.compile(r"cholesterol|histidine|ectropium|aldosterone|cocaine|\w*(?:peptide|otide)")
_stem = Stemmer.Stemmer("english")  # Snowball


class Term(NamedTuple):
    """A known name: finding, medication or shorthand; its meaning."""

    kind: str
    meaning: str


def stems(words: list[str]) -> list[str]:
    """The Snowball stem of each word (PyStemmer).

    >>> stems(["coughing", "coughs"])
    ['cough', 'cough']
    """
    return _stem.stemWords(words)


def is_drug_name(word: str) -> bool:
    """Does the word, in lower case, end as drug names do?

    >>> [is_drug_name(word) for word in ("lisinopril", "nucleotide", "cough")]
    [True, False, False]
    """
    return bool(_INN.fullmatch(word)) and not _NO_DRUG.fullmatch(word)


@functools.cache
def known() -> dict[str, dict[tuple[str, ...], Term]]:
    """The terms by the stem of their first word, then by the stems of all, longest first."""
    table: dict[str, dict[tuple[str, ...], Term]] = {}
    file = importlib.resources.files("clinical_camel.grounding") / "terms.csv"
    with file.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            key = tuple(stems(row["term"].split()))
            table.setdefault(key[0], {}).setdefault(key, Term(row["kind"], row["meaning"]))
    by_length = functools.partial(sorted, key=lambda item: -len(item[0]))
    return {first: dict(by_length(terms.items())) for first, terms in table.items()}


def find(words: list[str], stemmed: list[str]) -> list[tuple[int, int, Term]]:
    """(first word, word after the last, term) of the known terms, the longest at each place.

    >>> words = "naproxen for a runny nose".split()
    >>> [(start, end, term.meaning) for start, end, term in find(words, stems(words))]
    [(0, 1, 'naproxen'), (3, 5, 'rhinorrhea')]
    """
    found, place, table = [], 0, known()
    while place < len(words):
        terms = table.get(stemmed[place], ())
        key = next((k for k in terms if tuple(stemmed[place : place + len(k)]) == k), None)
        length = len(key) if key else 0
        term = terms[key] if key else None
        if length < 2 and (more := _phrase(words[place : place + 3])) > length:
            length, term = more, Term("finding", _meaning(words[place : place + more]))
        if not term and is_drug_name(words[place]):
            length, term = 1, Term("medication", words[place])
        if term:
            found.append((place, place + length, term))
        place += max(1, length)
    return found


def _meaning(phrase: list[str]) -> str:
    """What a phrase names: difficulties and problems are trouble.

    >>> _meaning(["difficulty", "seeing"])
    'trouble seeing'
    """
    return " ".join(_DIFFICULT.sub("trouble", word) for word in phrase)


def _phrase(words: list[str]) -> int:
    """How many of these words name a finding by their form: "knee pain", "trouble seeing"."""
    first, second, third = (*words, "", "")[:3]
    if _TROUBLE.fullmatch(first) and second.endswith("ing"):
        return 2
    if _TROUBLE.fullmatch(first) and second in ("of", "in") and len(third) > 3:
        return 3
    if (
        len(first) > 2
        and first not in STOP
        and not _ANY.fullmatch(first)
        and _AILING.fullmatch(second)
    ):
        return 2
    if _SICK.fullmatch(first) and len(second) > 3 and second not in STOP:
        return 2
    return int(bool(_FINDING.fullmatch(first)))
