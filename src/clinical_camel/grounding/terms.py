"""Names of findings, conditions and medications, and their synonyms.

Two sources, the first with priority: terms.csv (everyday words and names from development texts,
written by benchmarks/grounding_terms.py) and lexicons/ (the Human Phenotype Ontology, ICD-10-CM,
the FDA's names of substances). A drug in neither is recognised by the ending of its name.
"""

import functools
import re
from typing import NamedTuple

from bm25s.stopwords import STOPWORDS_EN_PLUS

from clinical_camel.grounding import lexicons
from clinical_camel.grounding.spelling import spell_american, stem_words
from clinical_camel.grounding.tables import read_table

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
# Endings and last words that name a finding or a condition; words before them that may be part of
# the name.
_FINDING = re.compile(
    r"\w{3,}(?:uria|algia|megaly|rrh(?:o?ea|age)|plegia|paresis|phagia|phasia|pnea|cardia|penia"
    r"|rexia|dynia|ptysis|ache|rrhoids?)"
)
_CONDITION = re.compile(
    r"\w{3,}(?:itis|a?emia|pathy|[^hn]osis|oma|iasis)|\w+(?:carcinoma|blastoma)"
)
_AILMENTS = {
    "pain": "pains? aches? aching achy hurts? hurting discomfort soreness sore painful",
    "edema": "swelling swollen swells? edema",
    "stiffness": "stiffness stiff",
    "numbness": "numbness numb",
    "weakness": "weakness weak",
    "cramps": "cramps? cramping spasms?",
    "tightness": "tightness tight",
    "tenderness": "tenderness tender",
    "rash": "rash rashes",
    "bleeding": "bleeding bleeds?",
    "discharge": "discharge",
    "pressure": "pressure",
    "itching": "itching itchy itch",
}
_AILING = re.compile("|".join(f"(?P<{k}>{v.replace(' ', '|')})" for k, v in _AILMENTS.items()))
_OF_PART = re.compile(
    r"(?:in|of|to|around) (?:(?:the|my|your|his|her|their|left|right|both|upper|lower) )*"
)
_DISEASE = re.compile(
    r"diseases?|disorders?|syndromes?|cancers?|infections?|tumou?rs?|fractures?|failure|insufficiency"
    r"|injur(?:y|ies)|ulcers?|hernias?|palsy|dystrophy|stenosis|deficiency"
)
_ROWS = read_table("term_words.csv")
_PART_WORDS = frozenset(row["word"] for row in _ROWS if row["kind"] == "part")
_PART_OF = {"feet": "foot", "teeth": "tooth", "calves": "calf", "belly": "abdominal"}
_PART_OF |= {f"{part}s": part for part in _PART_WORDS if f"{part}s" in _PART_WORDS}
_PART_OF |= {"abdomen": "abdominal", "stomach": "abdominal", "tummy": "abdominal"}
_TROUBLE = re.compile(r"trouble|difficult(?:y|ies)|problems?|loss|lack|changes?")
_DIFFICULT = re.compile(r"difficulty|difficulties|problems?")
_SICK = re.compile(r"(?:dark|bloody|pale|black|loose) (?:urine|stools?|sputum|skin)")
_NO_TROUBLE = re.compile(
    r"during|including|providing|getting|finding|regarding|following|according|concerning|being"
    r"|seasons?"
)
_MODIFIER = re.compile(  # may precede a disease, but is not part of its name
    r"severe|mild|moderate|acute|chronic|significant|intermittent|constant|sharp|dull|more|less"
    r"|increas(?:ed|ing)|worse(?:ning)?|much|new|associated|persistent|any|other|some|bad|without"
    r"|denies|reports|endorses|having|experiencing|current|subjective|daytime|baseline|known"
    r"|possible"
    r"|specific|usual|profuse|particular|further|healing|initial|non|suspected|recurrent|recent"
    r"|prior|previous|underlying|possibly|no|his|her|the|this|treated|has"
)
_NO_DRUG = re.compile(r"cholesterol|histidine|ectropium|aldosterone|cocaine|\w*(?:peptide|otide)")
# Rows of the Human Phenotype Ontology that are other words in a note, or too general to be checked
_UNUSED = "|".join(row["word"] for row in _ROWS if row["kind"] == "unused")
_UNUSED_NAME = re.compile(
    rf"^(?:{_UNUSED})$| and |\b(?:symptoms?|abnormalit(?:y|ies))$"
    r"|^(?:acute|chronic|recurrent|severe|mild|progressive|intermittent|persistent|frequent) "
)


class Term(NamedTuple):
    """A name: its kind (finding, condition, medication or shorthand) and its meaning.

    Terms of one meaning are synonyms.
    """

    kind: str
    meaning: str


def is_drug_name(word: str) -> bool:
    """Whether a word, in lower case, names a medication or has the ending of such a name.

    >>> [is_drug_name(word) for word in ("lisinopril", "lasix", "nucleotide", "cough")]
    [True, True, False, False]
    """
    if word in lexicons.read_drugs():
        return True
    return bool(_INN.fullmatch(word)) and not _NO_DRUG.fullmatch(word)


def find_words(text: str) -> list[str]:
    """Return the words of a normalized text, without numbers."""
    return _WORD.findall(text)


_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")


def is_word(word: str) -> bool:
    """Whether a word, in lower case, is one of English or medicine, or an inflection of one.

    >>> [is_word(word) for word in ("coughing", "arthroplasty", "frinkia", "wallness")]
    [True, True, False, False]
    """
    return any(map(_is_listed, list_forms(word)))


def _is_listed(word: str) -> bool:
    if word in lexicons.read_words() or word in _term_words() or is_drug_name(word):
        return True
    prefix = _PREFIX.match(word)
    if prefix and len(word) - prefix.end() > 3 and is_word(word[prefix.end() :]):
        return True
    return bool(_PROCEDURE.fullmatch(word)) or _is_verb(word)


def _is_verb(word: str) -> bool:
    """Whether a word is a form of a verb that only its noun is listed of: "intubated".

    The list has all forms of its own verbs.
    """
    base = _VERB.sub("", word)
    is_new = not {base, f"{base}e", base[:-1]} & lexicons.read_words()
    return base != word and is_new and stem_words([word])[0] in _word_stems()


@functools.cache
def _word_stems() -> frozenset[str]:
    return frozenset(stem_words(sorted(lexicons.read_words())))


@functools.lru_cache(maxsize=65536)
def list_forms(word: str) -> frozenset[str]:
    """Return a word in American spelling, and what it may be the plural or genitive of.

    >>> sorted(list_forms("biopsies"))
    ['biopsi', 'biopsie', 'biopsies', 'biopsy']
    """
    word = spell_american(word)
    forms = {word} | {word.removesuffix(ending) for ending in ("'s", "s", "es")}
    return frozenset(forms | ({word[:-3] + "y"} if word.endswith("ies") else set()))


_PREFIX = re.compile(
    r"non|pre|post|peri|sub|anti|inter|intra|re|un|over|under|multi|hyper|hypo|micro"
)
_PROCEDURE = re.compile(  # operations, examinations, specialties and what belongs to them
    r"\w{3,}(?:ectom|otom|ostom|plast|scop|graph|centes|des|pex|trips|metr|olog|therap|path)"
    r"(?:y|is|ies|ists?|ic|ical|ically)|\w{3,}grams?"
)
_VERB = re.compile(r"(?:ed|ing)$")


@functools.cache
def _term_words() -> frozenset[str]:
    return frozenset(word for row in _read_terms() for word in row[1].split())


@functools.cache
def _read_terms() -> list[tuple[str, str, str]]:
    """Return kind, term and meaning of the rows of terms.csv."""
    return [(_sort_kind(row), row["term"], _name_drug(row)) for row in read_table("terms.csv")]


@functools.cache
def _meanings() -> dict[str, str]:
    return {term: meaning for _, term, meaning in _read_terms()}


def _sort_kind(row: dict[str, str]) -> str:
    """Return "condition" for the name of a disease that the list has as a finding."""
    name = row["meaning"]
    is_condition = row["source"] != "ours" and (
        name in lexicons.read_conditions() or _names_disease(name)
    )
    return "condition" if row["kind"] == "finding" and is_condition else row["kind"]


def _name_drug(row: dict[str, str]) -> str:
    meaning = row["meaning"]
    return lexicons.read_drugs().get(meaning, meaning) if row["kind"] == "medication" else meaning


@functools.cache
def _group_names() -> dict[str, list[tuple[str, str, str]]]:
    """Return (kind, term, meaning) of all names but drugs by the first letters of the name."""
    groups: dict[str, list[tuple[str, str, str]]] = {}
    ours, conditions = _meanings(), lexicons.read_conditions()
    names = [row for row in _read_terms() if " and " not in row[1] or row[1] != row[2]]
    for _, name, synonym in lexicons.read_findings():
        name, term = name.lower(), (synonym or name).lower()
        kind = "condition" if name in conditions or _names_disease(name) else "finding"
        if not _UNUSED_NAME.search(term):
            names.append((kind, term, ours.get(name, name)))
    names += [
        ("condition", name, ours.get(name, name))
        for name in sorted(conditions)
        if not _UNUSED_NAME.search(name)
    ]
    for row in names:
        groups.setdefault(row[1][:_LETTERS], []).append(row)
    return groups


_LETTERS = 3  # a word and its stem begin with the same letters


def _names_disease(name: str) -> bool:
    last = name.split()[-1]
    return bool(_DISEASE.fullmatch(last) or _CONDITION.fullmatch(last))


@functools.lru_cache(maxsize=4096)
def _find_candidates(letters: str) -> dict[str, list[tuple[tuple[str, ...], str, Term]]]:
    """Return the stems of each name, the name and its term, longest first, by the first stem."""
    table: dict[str, list[tuple[tuple[str, ...], str, Term]]] = {}
    for kind, name, meaning in _group_names().get(letters, ()):
        key = tuple(stem_words(name.split()))
        table.setdefault(key[0], []).append((key, name, Term(kind, meaning)))
    return {
        first: sorted(names, key=lambda entry: -len(entry[0])) for first, names in table.items()
    }


def _is_form(word: str, name: str) -> bool:
    """Whether a word is a form of a name of one word, not another word of its stem.

    >>> _is_form("cysts", "cyst"), _is_form("allergy", "allergies"), _is_form("vagina", "vaginitis")
    (True, True, False)
    """
    return word.startswith(name[:-1]) or word.startswith(name.removesuffix("ies") + "y")


def find_terms(words: list[str], stemmed: list[str]) -> list[tuple[int, int, Term]]:
    """Return (first word, word after the last, term) of every term, the longest at each position.

    >>> words = "naproxen for a runny nose".split()
    >>> [(start, end, term.meaning) for start, end, term in find_terms(words, stem_words(words))]
    [(0, 1, 'naproxen'), (3, 5, 'rhinorrhea')]
    """
    matches, start = [], 0
    while start < len(words):
        length, term = _match_name(words, stemmed, start)
        if length < 3 and (ailment := _match_ailment(words[start : start + 6])):
            length, term = ailment
        elif length < 2 and (more := _phrase_length(words[start : start + 3])) > length:
            phrase = words[start : start + more]
            kind = "condition" if _names_disease(phrase[-1]) else "finding"
            length, term = more, Term(kind, _DIFFICULT.sub("trouble", " ".join(phrase)))
        if not term and is_drug_name(words[start]):
            length, term = 1, Term("medication", words[start])
        if term:
            matches.append((start, start + length, term))
        start += max(1, length)
    return matches


def _match_name(words: list[str], stemmed: list[str], start: int) -> tuple[int, Term | None]:
    """Return length and term of the longest listed name that begins at a word."""
    first = stemmed[start]
    for key, name, term in _find_candidates(words[start][:_LETTERS]).get(first, ()):
        is_form = len(key) > 1 or term.kind == "shorthand" or _is_form(words[start], name)
        if is_form and tuple(stemmed[start : start + len(key)]) == key:
            return len(key), term
    drugs = lexicons.read_drugs()
    for length in (2, 1):
        name = " ".join(words[start : start + length])
        if name in drugs and start + length <= len(words):
            return length, Term("medication", drugs[name])
    return 0, None


def _match_ailment(words: list[str]) -> tuple[int, Term] | None:
    """Return length and term of what ails a part of the body: "sore throat" is throat pain.

    >>> _match_ailment("pain in the left knee today".split())
    (5, Term(kind='finding', meaning='knee pain'))
    """
    part = next((i for i, word in enumerate(words) if word in _PART_WORDS), None)
    if part is None:
        return None
    ailing = _AILING.fullmatch(words[0])
    between = "".join(f"{word} " for word in words[1:part])
    if part and ailing and (not between or _OF_PART.fullmatch(between)):
        return part + 1, _name_ailment(words[part], ailing)
    after = _AILING.fullmatch(words[1]) if part == 0 and len(words) > 1 else None
    return (2, _name_ailment(words[0], after)) if after else None


def _name_ailment(part: str, ailing: re.Match) -> Term:
    name = f"{_PART_OF.get(part, part)} {ailing.lastgroup}"
    return Term("finding", _meanings().get(name, name))


def _phrase_length(words: list[str]) -> int:
    """Return how many words form a finding, as "knee pain" or "trouble seeing"; 0 for none."""
    first, second, third = (*words, "", "")[:3]
    object_ = third if second in ("of", "in") else second
    if _TROUBLE.fullmatch(first) and not _NO_TROUBLE.fullmatch(object_):
        if second.endswith("ing"):
            return 2
        if object_ == third and len(third) > 3:
            return 3
    is_name = len(first) > 2 and first not in STOP and not _MODIFIER.fullmatch(first)
    if is_name and not first[0].isdigit() and _DISEASE.fullmatch(second):
        return 2
    if _SICK.fullmatch(f"{first} {second}"):
        return 2
    return int(bool(_FINDING.fullmatch(first) or _CONDITION.fullmatch(first)))
