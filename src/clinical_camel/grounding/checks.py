"""Compare the facts of a written clause, and their context, with a source."""

import re
from collections.abc import Iterator, Sequence

from clinical_camel.grounding.claims import check_claims
from clinical_camel.grounding.clauses import Clause, Fact
from clinical_camel.grounding.comparison import is_same_quantity
from clinical_camel.grounding.polarity import check_polarity, check_statement
from clinical_camel.grounding.quantities import QUANTITIES
from clinical_camel.grounding.source import Source
from clinical_camel.grounding.terms import STOP, list_forms, stem_words
from clinical_camel.grounding.words import STATE_STEMS

SHORT = 4  # a clause of at most this many stems is an answer: "on the left side"
_NORMAL = re.compile(r"\b(?:clear|normal|intact|nontender|not tender|full|equal)\b")
Problem = tuple[str, str]  # verdict, reason


def check_clause(clause: Clause, sources: Sequence[int], source: Source) -> Iterator[Problem]:
    """Yield (verdict, reason) for each fact of a clause that the source does not support."""
    for fact in clause.facts:
        check = _check_quantity if fact.kind in QUANTITIES else _CHECKS[fact.kind]
        if problem := check(fact, clause, sources, source):
            yield problem
    yield from check_statement(clause, source)
    yield from check_claims(clause, source)


def _check_quantity(
    fact: Fact, clause: Clause, sources: Sequence[int], source: Source
) -> Problem | None:
    """Compare, by shared words, the source clauses with this number and with another of its kind.

    Another number is no contradiction if the written clause states it too.
    """
    if source.is_article and _refers_back(fact, clause, source):
        return None
    stated = [f.value for f in clause.facts if f.kind in QUANTITIES and f.value != fact.value]
    drug = source.drugs & fact.about
    support = against = bound = -1
    topic = {c.unit for stem in fact.about for c in source.clauses_by_stem.get(stem, ())}
    others, near = {}, source.neighbours({*sources, *topic})
    for other, context in source.quantities:
        if drug and source.drugs & other.about - fact.about:
            continue  # the dose of another drug
        common, shared = len(context.stems & clause.stems), len(other.about & fact.about)
        is_bare = fact.kind == "dose" and other.kind == "number"
        if is_bare and not (other.about | context.stems) & drug and not _is_rate(fact, context):
            continue  # "my sugar was 11" is no dose
        if is_same_quantity(fact.value, other.value):
            is_specific = _is_specific(fact, other, context)
            common += is_specific and _number(other) == _number(fact)
            common -= _is_vague(other) > _is_vague(fact)  # "a few weeks"
            if other.unit in near or shared or not sources or is_specific:
                support, bound = max(support, common), max(bound, shared)
        elif (
            other.kind == fact.kind
            and common
            and (drug & other.about or not _is_stated(other.value, stated))
        ):
            others[other] = common
            against = max(against, common)
    is_range = "-" in fact.value and any(q.value == fact.value for q, _ in source.quantities)
    if support >= 0 and (is_range or support >= against or against == 1 < support + 1):
        swapped = _find_swapped(fact, bound, source)
        return ("contradicted", f"{fact.kind}: {fact.value}, {swapped}") if swapped else None
    rivals = [other for other, common in others.items() if common == against]
    if rivals:
        same = any(other.about & fact.about for other in rivals)
        values = ", ".join(dict.fromkeys(other.value for other in rivals))
        verdict = "contradicted" if same else "unsupported"
        return verdict, f"{fact.kind}: {fact.value}, the source has {values}"
    if fact.value.strip() in ("0", "1"):  # "one" is often not a number
        return None
    return "unsupported", f"{fact.kind}: {fact.value} is not in the source"


def _refers_back(fact: Fact, clause: Clause, source: Source) -> bool:
    """Whether a number counts what was named before and the source has no other number of that.

    "These three", "one of them" and "is one cause" do; "these 3 mg" and "1 of 5 genes" do not.
    """
    if fact.kind != "number" or not fact.value.isdigit():
        return False
    for other, context in source.facts["number"]:
        is_count = re.search(
            rf"(?<!type )(?<!grade )(?<!stage )\b{re.escape(other.value)}\b", context.text
        )
        if other.value != fact.value and other.about & fact.about and is_count:
            return False
    matches = _BACK.finditer(clause.text)
    return any(fact.value == (match["many"] or match["one"] or match["one_"]) for match in matches)


_BACK = re.compile(
    r"\b(?:these|those) (?P<many>[2-9])(?![\w.%/-]| ?\d)"
    r"|\b(?P<one>1) of (?!\d)"
    r"|\b(?:is|are|as) (?:only |just )?(?P<one_>1)"
    r"(?= [a-z]+(?: to\b| that\b| which\b| of\b|[.,;]|$))"
)


def _is_rate(fact: Fact, context: Clause) -> bool:
    """Whether a clause names the unit of a rate apart from the number, as the head of a table."""
    amount, _, time = fact.value.partition(" ")[2].partition("/")
    return bool(time) and re.search(rf"\b{amount} ?/ ?{time[:3]}", context.text) is not None


def _find_swapped(fact: Fact, bound: int, source: Source) -> str:
    """Return the value that the source has for the words next to a time, if another."""
    if not _is_time(fact) or bound > 0:
        return ""
    for other, _ in source.facts[fact.kind]:
        is_other = _is_time(other) and not is_same_quantity(fact.value, other.value)
        if is_other and other.about & fact.about:
            words = ", ".join(sorted(other.about & fact.about))
            return f"the source has {other.value} for {words}"
    return ""


def _is_time(fact: Fact) -> bool:
    """Whether a fact is a duration or a date; a year is a number."""
    return fact.kind in ("duration", "date") or bool(_YEAR.fullmatch(fact.value))


_YEAR = re.compile(r"(?:19|20)\d\d")


def _is_specific(fact: Fact, other: Fact, context: Clause) -> bool:
    """Whether a number of the source can hardly belong to other words: 120/80, 97.7, an age."""
    if fact.kind == "age":
        return other.kind == "age" or len(context.stems) <= SHORT
    number = fact.value.split(" ")[0]
    return fact.kind == "number" and ("/" in number or "." in number or len(number) > 2)


def _number(fact: Fact) -> str:
    return fact.value.split(" ")[0].removesuffix("/10")


def _is_vague(fact: Fact) -> bool:
    return fact.value.startswith("some")


def _is_stated(value: str, stated: list[str]) -> bool:
    return any(is_same_quantity(value, other) for other in stated)


def _check_named(
    fact: Fact, clause: Clause, sources: Sequence[int], source: Source
) -> Problem | None:
    """A drug, name or finding must be in the source, with the same context."""
    stems = fact.stems - _TROUBLE if len(fact.stems) > 1 else fact.stems
    places = _find_places(stems, clause, source)
    if not all(places) and source.drugs & _CLASSES.get(fact.value, frozenset()):
        return None  # ibuprofen is an NSAID
    if not all(places) and fact.kind in ("symptom", "negation"):
        places = _find_places(_written_stems(fact, clause), clause, source) or places
    if not all(places) and source.is_article and _is_part_of_name(fact, clause, source):
        return None
    if not all(places):
        return "unsupported", f"{fact.kind}: {_describe(fact, clause)} is not in the source"
    if fact.kind in ("symptom", "negation") and not _meet(places, source):
        return "unsupported", f"{fact.kind}: {_describe(fact, clause)} is not in the source"
    return check_polarity(fact, clause, source)


def _find_places(stems: frozenset[str], clause: Clause, source: Source) -> list[set[int]]:
    own = clause.stems | clause.numbers
    return [{c.unit for c in source.find_clauses(s, own)} for s in sorted(stems)]


def _written_stems(fact: Fact, clause: Clause) -> frozenset[str]:
    """Return the stems of a finding of several words as written, "inflammation of the esophagus".

    The source may have the words, but not next to each other.
    """
    written = clause.words.get(min(fact.stems, default=""), "")
    words = written.split()
    if len(words) < 2:
        return frozenset()
    return frozenset(stem_words([word for word in words if word not in STOP])) - STATE_STEMS


def _is_part_of_name(fact: Fact, clause: Clause, source: Source) -> bool:
    """Whether a finding of one word is part of a longer name: "the tumour", "adrenal tumour"."""
    written = clause.words.get(min(fact.stems, default=""), "")
    forms = list_forms(written)
    names = (
        context.words.get(min(other.stems, default=""), "")
        for other, context in source.facts[fact.kind]
    )
    return any(forms & list_forms(word) for name in names for word in name.split())


def _describe(fact: Fact, clause: Clause) -> str:
    """Return the name of a fact as written, with the preferred name if that is another."""
    written = clause.words.get(min(fact.stems, default=""), fact.value)
    return fact.value if written in fact.value else f"{written} ({fact.value})"


_MEMBERS = {  # a note may name the class of a drug that the visit names
    "nsaid": "ibuprofen naproxen meloxicam diclofenac celecoxib ketorolac indomethacin aspirin",
    "steroid": "cortisone hydrocortisone prednisone prednisolone methylprednisolone dexamethasone"
    " betamethasone triamcinolone clobetasol fluticasone budesonide",
    "antibiotic": "amoxicillin azithromycin doxycycline penicillin cephalexin ciprofloxacin"
    " levofloxacin clindamycin nitrofurantoin vancomycin erythromycin clarithromycin ceftriaxone",
    "statin": "atorvastatin simvastatin rosuvastatin pravastatin lovastatin",
}
_CLASSES = {name: frozenset(members.split()) for name, members in _MEMBERS.items()}
_TROUBLE = frozenset(["troubl"])  # "trouble walking" may be "it is hard to walk"


def _meet(places: list[set[int]], source: Source) -> bool:
    """Whether the words of a finding are in one unit, or in units next to each other."""
    if set.intersection(*places):
        return True
    first, *rest = sorted(places, key=len)
    return any(all(source.neighbours([unit]) & other for other in rest) for unit in first)


def _check_side(
    fact: Fact, clause: Clause, sources: Sequence[int], source: Source
) -> Problem | None:
    """Compare, by shared words, the source clauses with a side; both is left and right."""
    weight, near = dict.fromkeys(("left", "right", "both"), 0), source.neighbours(sources)
    for other, context in source.facts["side"]:
        common = len(context.stems & clause.stems) if other.about & fact.about else 0
        is_answer = other.unit in near and len(context.stems) <= SHORT  # "On the left side."
        weight[other.value] = max(weight[other.value], common, is_answer)
    if not any(weight.values()):
        if fact.value == "both":  # implied for paired organs
            return None
        return "unsupported", f"{fact.kind}: {fact.value} is not in the source"
    support = weight[fact.value]
    if fact.value == "both" and (fact.about & clause.negated or _NORMAL.search(clause.text)):
        return None  # nobody says "both" of what is normal
    if fact.value == "both":
        support = max(support, min(weight["left"], weight["right"]))
    if support < max(weight.values()):
        sides = ", ".join(side for side, common in weight.items() if common > support)
        return "contradicted", f"{fact.kind}: {fact.value}, the source has {sides}"
    return None


def _check_sex(
    fact: Fact, clause: Clause, sources: Sequence[int], source: Source
) -> Problem | None:
    """Compare with the sex in a consultation, or in the most similar sentence of an article."""
    facts = [f for f, _ in source.facts["sex"] if source.is_spoken or f.unit in sources[:1]]
    facts = [f for f in facts if f.about] or facts
    if source.is_spoken and len(facts) < 3 and not any(f.about for f in facts):
        return None  # one or two "he" may be another person
    if facts and fact.value not in {f.value for f in facts}:
        return "contradicted", f"{fact.kind}: {fact.value}, the source has {facts[0].value}"
    return None


_CHECKS = {
    "medication": _check_named,
    "symptom": _check_named,
    "negation": _check_named,
    "name": _check_named,
    "side": _check_side,
    "sex": _check_sex,
}
