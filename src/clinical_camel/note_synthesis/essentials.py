"""Three things that the next doctor looks for first: the diagnosis, the medications, the allergies.

A share of supported sentences does not show whether they are in the note. So each is a question
with the answer yes or no per note, and every note counts: one that loops or is empty lacks them.
"""

import re
from collections.abc import Iterator

import pandas as pd

from clinical_camel.core.wording import format_percent
from clinical_camel.data import Consultation
from clinical_camel.exam_results.answers import compute_interval
from clinical_camel.note_synthesis.corpora import Corpora, hash_encounter, normalise_transcript
from clinical_camel.note_synthesis.faithfulness import REFERENCE
from clinical_camel.note_synthesis.structure import parse_note

DIAGNOSIS = "diagnosis named as in the visit"
MEDICATIONS = "medications in the note"
ALLERGIES = "allergies in the note"
ESSENTIALS = (DIAGNOSIS, MEDICATIONS, ALLERGIES)

_ASSESSMENT = re.compile(r"a|a/p|imp|ddx|diagnos[ie]s|impression|assessment\b.*", re.IGNORECASE)
_PHRASE_END = re.compile(r"[.,;:()?]|\b(?:from|due to|secondary to|with|which|that|and)\b")
_HEDGE = re.compile(
    r"^(?:\W|\d|(?:the|an?|likely|probable|possible|suspected|acute|this is|patient|has)\b)+"
)
_NO_DIAGNOSIS = re.compile(r"\b(?:is|was|are|were|has|had|will|can|plan|patient|today|i|we|for)\b")
_ALLERGIC = re.compile(
    r"\ballergic to (?P<to>[^.;\n]+)|\ballerg(?:y|ies)\b(?: to)?[\s:?]*(?P<list>[^.;\n]*)"
    r"|\b(?P<drug>[a-z]+) allergy\b"
)
_NO_ALLERGY = re.compile(
    r"\bnkd?a\b|\b(?:no|denies|without)\b[^.\n]{0,30}\ballerg|\ballerg\w*[\s:?]*"
    r"(?:is |are )?(?:no|none|nil|negative|not)\b"
)
_NO_SUBSTANCE = re.compile(
    r"known|drug|food|none|nil|the|and|any|has|have|patient|includ\w*|that|she|there|also|for|use"
)


def count_essentials(notes: pd.DataFrame, facts: pd.DataFrame, corpora: Corpora) -> pd.DataFrame:
    """Return for each writer how many notes have each of ESSENTIALS, with intervals.

    Columns: corpus, model, item, n (visits to which it applies), correct, share, low, high.
    `facts` is the table of `measure_faithfulness`. The reference is listed as the first model.
    The intervals are Wilson's; if several notes are on one transcript, they count as dependent.

    - The diagnosis is the opening phrase of a line of the reference's assessment, the first that
      the transcript has word for word. The note has it in its assessment, or anywhere if it has no
      such section.
    - Medications: those of the visit that the reference has. The note has to cover all of them.
    - Allergies: what the reference states, or that there are none. The note has to state the same.
    """
    visits = {(corpus, row.id): row for corpus, rows in corpora.items() for row in rows}
    written = [(corpus, REFERENCE, id_, row.note) for (corpus, id_), row in visits.items()]
    written += [(note.corpus, note.model, note.id, note.note) for note in notes.itertuples()]
    medications = _covers_medications(facts)
    rows = []
    for corpus, model, id_, text in written:
        answers = dict(_check_note(text, visits[corpus, id_]))
        if (corpus, REFERENCE, id_) in medications:
            answers[MEDICATIONS] = medications.get((corpus, model, id_), False)
        encounter = hash_encounter(visits[corpus, id_])
        rows += [(corpus, model, item, encounter, answer) for item, answer in answers.items()]
    table = pd.DataFrame(rows, columns=["corpus", "model", "item", "encounter", "correct"])
    table["item"] = pd.Categorical(table["item"], ESSENTIALS)
    groups = table.groupby(["corpus", "model", "item"], sort=False, observed=True)
    counts = groups["correct"].agg(n="size", correct="sum").reset_index()
    counts["share"] = counts["correct"] / counts["n"]
    intervals = [compute_interval(rows["correct"], rows["encounter"]) for _, rows in groups]
    counts[["low", "high"]] = pd.DataFrame(intervals, columns=["low", "high"], dtype=float)
    return counts.astype({"item": str, "correct": int})


def _covers_medications(facts: pd.DataFrame) -> dict[tuple[str, str, str], bool]:
    """Return whether each note covers all medications of its visit that the reference covers."""
    rows = facts[facts["kind"] == "medication"]
    keys = ["corpus", "id", "fact"]
    expected = rows[(rows["model"] == REFERENCE) & rows["covered"].astype(bool)][keys]
    groups = rows.merge(expected, on=keys).groupby(["corpus", "model", "id"])["covered"]
    return groups.all().to_dict()


def _check_note(text: str, visit: Consultation) -> Iterator[tuple[str, bool]]:
    """Yield the items that can be asked of this visit, and whether the note has them."""
    if diagnosis := find_diagnosis(visit):
        sections = _assessments(text)
        yield DIAGNOSIS, _has_phrase(" ".join(sections) if sections else text, diagnosis)
    expected = find_allergies(visit.note)
    if expected is not None:
        stated = find_allergies(text)
        yield (
            ALLERGIES,
            stated is not None and expected <= stated and bool(expected) == bool(stated),
        )


def find_diagnosis(visit: Consultation) -> str:
    """Return the first opening of a line of the assessment that the visit has, or "".

    >>> from clinical_camel.data import Turn
    >>> turns = [Turn(speaker="doctor", text="I think that you have gout.")]
    >>> note = "Assessment:\\nLikely gout, from crystals."
    >>> find_diagnosis(Consultation(id="v", turns=turns, note=note))
    'gout'
    """
    transcript = normalise_transcript(visit)
    for text in _assessments(visit.note):
        for line in re.split(r"[\n•]|(?<=[.;])\s", text.lower()):
            first = _PHRASE_END.split(_HEDGE.sub("", line))[0]
            phrase = " ".join(re.findall(r"[^\W_]+", first))
            is_name = len(phrase) > 3 and len(phrase.split()) < 6
            if is_name and not _NO_DIAGNOSIS.search(phrase) and _has_phrase(transcript, phrase):
                return phrase
    return ""


def _assessments(note: str) -> list[str]:
    sections = parse_note(note).items()
    return [text for name, text in sections if text.strip() and _ASSESSMENT.fullmatch(name)]


def _has_phrase(text: str, phrase: str) -> bool:
    words = " ".join(re.findall(r"[^\W_]+", text.lower()))
    return f" {phrase} " in f" {words} "


def find_allergies(text: str) -> frozenset[str] | None:
    """Return the words of the substances, none if there is no allergy, None if nothing is stated.

    >>> sorted(find_allergies("Allergies: penicillin and latex.")), find_allergies("NKDA")
    (['latex', 'penicillin'], frozenset())
    >>> find_allergies("Takes ramipril.") is None
    True
    """
    lower = text.lower()
    is_denied, substances = bool(_NO_ALLERGY.search(lower)), set()
    for match in _ALLERGIC.finditer(_NO_ALLERGY.sub(" ", lower)):
        words = re.findall(r"[a-z]{3,}", next(filter(None, match.groups()), ""))
        substances |= {word for word in words if not _NO_SUBSTANCE.fullmatch(word)}
    return frozenset(substances) if substances or is_denied else None


def format_essentials(counts: pd.DataFrame) -> pd.DataFrame:
    """Return the counts for reading: one row per corpus and writer, a column per item."""
    rows = {}
    for row in counts.itertuples():
        cells = rows.setdefault((row.corpus, row.model), {})
        cells["corpus"], cells["writer"] = row.corpus, row.model
        share = format_percent(row.share, row.low, row.high, 0, " %")
        cells[row.item] = f"{row.correct} of {row.n} ({share})"
    return pd.DataFrame(rows.values()).fillna("")
