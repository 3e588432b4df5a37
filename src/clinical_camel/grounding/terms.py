"""Names of findings and medications, and their synonyms.

The names are in terms.csv, each with its source. benchmarks/grounding_terms.py writes that file and
explains its method (source texts: MedQuAD, ACI-Bench and MTS-Dialog, CC BY 4.0). A drug that is not
in the file is recognised by the ending of its name.
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
STOP = frozenset(STOPWORDS_EN_PLUS) | set(_FILLERS.split())  # NLTK's list, from bm25s, and fillers
# Stems of international nonproprietary names (WHO, "The use of stems in the selection of INN",
# 2018, from memory): common ones, which end many drug names and few other words.
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
# Endings that name a finding; words that form a finding with the word before or after them.
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
_MODIFIER = re.compile(  # may precede a finding, but is not part of its name
    r"severe|mild|moderate|acute|chronic|significant|intermittent|constant|sharp|dull|more|less"
    r"|increas(?:ed|ing)|worse(?:ning)?|much|new|associated|persistent|any|other|some|bad|without"
    r"|denies|reports|endorses|having|experiencing|current|subjective|daytime|baseline"
)
_NO_DRUG = re.compile(r"cholesterol|histidine|ectropium|aldosterone|cocaine|\w*(?:peptide|otide)")
_stem = Stemmer.Stemmer("english")  # Snowball


class Term(NamedTuple):
    """A name in terms.csv: kind (finding, medication or shorthand) and meaning."""

    kind: str
    meaning: str


def stem_words(words: list[str]) -> list[str]:
    """Return the Snowball stem of each word (PyStemmer).

    >>> stem_words(["coughing", "coughs"])
    ['cough', 'cough']
    """
    return _stem.stemWords(words)


def is_drug_name(word: str) -> bool:
    """Whether the word, in lower case, has the ending of a drug name.

    >>> [is_drug_name(word) for word in ("lisinopril", "nucleotide", "cough")]
    [True, False, False]
    """
    return bool(_INN.fullmatch(word)) and not _NO_DRUG.fullmatch(word)


@functools.cache
def load_terms() -> dict[str, dict[tuple[str, ...], Term]]:
    """Return the terms by the stem of their first word, then by all their stems, longest first."""
    table: dict[str, dict[tuple[str, ...], Term]] = {}
    file = importlib.resources.files("clinical_camel.grounding") / "terms.csv"
    with file.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            key = tuple(stem_words(row["term"].split()))
            table.setdefault(key[0], {}).setdefault(key, Term(row["kind"], row["meaning"]))
    by_length = functools.partial(sorted, key=lambda item: -len(item[0]))
    return {first: dict(by_length(terms.items())) for first, terms in table.items()}


def find_terms(words: list[str], stemmed: list[str]) -> list[tuple[int, int, Term]]:
    """Return (first word, word after the last, term) of every term, the longest at each position.

    >>> words = "naproxen for a runny nose".split()
    >>> [(start, end, term.meaning) for start, end, term in find_terms(words, stem_words(words))]
    [(0, 1, 'naproxen'), (3, 5, 'rhinorrhea')]
    """
    matches, start, table = [], 0, load_terms()
    while start < len(words):
        terms = table.get(stemmed[start], ())
        key = next((k for k in terms if tuple(stemmed[start : start + len(k)]) == k), None)
        length = len(key) if key else 0
        term = terms[key] if key else None
        if length < 2 and (more := _phrase_length(words[start : start + 3])) > length:
            phrase = " ".join(words[start : start + more])
            length, term = more, Term("finding", _DIFFICULT.sub("trouble", phrase))
        if not term and is_drug_name(words[start]):
            length, term = 1, Term("medication", words[start])
        if term:
            matches.append((start, start + length, term))
        start += max(1, length)
    return matches


def _phrase_length(words: list[str]) -> int:
    """Return how many words form a finding, as "knee pain" or "trouble seeing"; 0 for none."""
    first, second, third = (*words, "", "")[:3]
    if _TROUBLE.fullmatch(first) and second.endswith("ing"):
        return 2
    if _TROUBLE.fullmatch(first) and second in ("of", "in") and len(third) > 3:
        return 3
    if (
        len(first) > 2
        and first not in STOP
        and not _MODIFIER.fullmatch(first)
        and _AILING.fullmatch(second)
    ):
        return 2
    if _SICK.fullmatch(first) and len(second) > 3 and second not in STOP:
        return 2
    return int(bool(_FINDING.fullmatch(first)))
