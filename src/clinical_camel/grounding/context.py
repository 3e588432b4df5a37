"""Who, when and whether: the context of each word of a clause, by NegEx and ConText.

A cue ("denies", "possible", "if", "mother", "as a child") covers the words after it, or before it,
up to a word that ends its scope ("but", "apart from"), the end of the clause, or REACH words, more
in a list. A pseudo-negation ("no increase", "not only") negates nothing. The method: Chapman et al.
2001, Journal of Biomedical Informatics 34:301 (NegEx); Harkema et al. 2009, ibid. 42:839 (ConText).

The cues are in context_terms.csv, with their sources: `negex` from negspacy 1.1.0 (MIT, copyright
2019 Jeno Pizarro), `context` from medspaCy 1.3.1 (MIT, copyright 2020 medspacy), `ours` for
speech and notes. The notices of both licences are in context_terms.md.
"""

import functools
import itertools
import math
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator

from clinical_camel.grounding import article_scopes
from clinical_camel.grounding.tables import read_table

CONTEXTS = ("negated", "possible", "hypothetical", "family", "past", "place")
REACH = 8  # words that a negation covers
AT_END = (  # cues that cover what precedes them only at the end: "fever: denied"
    *("is possible", "is likely"),
    *("negative", "absent", "denied", "denies", "declined", "unlikely"),
)
LIMITED = ("negated", "possible")  # their scope ends after REACH words

# A relative who speaks or comes along is no patient: "his mother reports that he has a fever".
_INFORMANT = re.compile(
    r"(?: (?:who|is|was|has|have|also|has also|had|does|did|and (?:father|mother|friends?)))*"
    r" (?:(?:say|state|report|note|den|think|thought|bring|accompan|tell|describe|mention|feel|felt"
    r"|believe|worr|concern|present in|here|agree|understand|help|call|notice|give|gave|ask|want"
    r"|verif|confirm|endors|brought|stated|said|told|answer|translat|provid|accompanied)\w*)"
)
SELF = r"i(?! (?:think|do not know|know|believe|guess|mean)\b)"  # "my dad, I think, has asthma"
_PATIENT = re.compile(rf"\b(?:{SELF}|i'm|i've|you|you're|you've|patient|me)\b")
_BEFORE = re.compile(r"\b(?:in|of|by|with|to|from|for) (?:the |my |his |her |your |patient's )*$")
_TOGETHER = re.compile(  # "lives with her husband" is about the patient
    r"\b(?:liv(?:es?|ed|ing)|resid\w+|stay\w*|married|accompanied|shar\w+|mov\w+|divorced|visit\w*)"
    r" (?:\w+ ){0,3}$"
)
_LAST = re.compile(r"\s*(?:$|[,.)])")
_RUNS = re.compile(r"\bruns? in\b.*$")


@functools.cache
def _load_cues() -> tuple[re.Pattern, dict[str, tuple[tuple[str, str], ...]]]:
    """Return one pattern of all phrases, longest first, and the (category, direction) of each."""
    roles: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for row in read_table("context_terms.csv"):
        roles[row["phrase"]].append((row["category"], row["direction"]))
    phrases = sorted(roles, key=len, reverse=True)
    alternatives = "|".join(map(re.escape, phrases))
    # "no" before a comma or at the end is an answer
    pattern = (
        rf"(?:(?<![a-z'])|(?=[:,]))(?:no(?= ?,| ?-|\s*$)|(?P<cue>{alternatives}))(?![a-z]|'[a-z])"
    )
    return re.compile(pattern), {phrase: tuple(pairs) for phrase, pairs in roles.items()}


@functools.lru_cache(maxsize=4096)
def find_scopes(text: str, of_article: bool = False) -> dict[str, tuple[tuple[int, int], ...]]:
    """Return for each of CONTEXTS the (start, end) of what it covers in a normalized clause.

    `of_article`: the clause is of an article, or of what is written from one: see `article_scopes`.

    >>> find_scopes("no cough but possible asthma")["negated"]
    ((2, 9),)
    >>> find_scopes("no cough but possible asthma")["possible"]
    ((21, 28),)
    """
    pattern, roles = _load_cues()
    cues = [(m.start(), m.end(), roles[m["cue"]]) for m in pattern.finditer(text) if m["cue"]]
    ends = [(start, end) for start, end, pairs in cues if any("end" in pair for pair in pairs)]
    begins = [start for start, _ in ends]
    starts = {
        context: [start for start, _, pairs in cues if any(c == context for c, _ in pairs)]
        for context in CONTEXTS
    }
    scopes: dict[str, list[tuple[int, int]]] = {context: [] for context in CONTEXTS}
    for start, end, pairs in cues:
        for context, direction in pairs:
            if context not in scopes or direction == "end":
                continue
            if of_article and not article_scopes.is_cue(text[start:end], context, direction):
                continue
            if context == "family":
                scopes[context] += _family(text, start, end)
            elif direction == "forward":
                stop = min(_next(begins, end), _next(starts[context], end), len(text))
                stop = _limit(text, end, stop, context)
                if context == "hypothetical" and not text[:start].strip():
                    stop = max(text.rfind(",", end, stop), 0) or stop  # "if it hurts, it is broken"
                if context == "negated":
                    if of_article:
                        stop = article_scopes.end_denial(text, start, end, stop)
                        if article_scopes.is_condition(text, start):
                            scopes["hypothetical"].append((end, stop))
                    stop = _end_of_list(text, end, stop)
                    scopes["place"] += _places(text, end, stop)
                scopes[context].append((end, stop))
            elif text[start:end] not in AT_END or _LAST.match(text, end):
                k = bisect_left(begins, start)
                first = ends[k - 1][1] if k else 0
                if of_article and context == "possible":
                    first = max(first, article_scopes.begin_doubt(text, start))
                scopes[context].append((first, start))
    scopes["negated"] = list(_subtract(scopes["negated"], scopes["place"]))
    return {context: tuple(spans) for context, spans in scopes.items()}


def _subtract(spans: list[tuple[int, int]], holes: list[tuple[int, int]]) -> Iterator[tuple]:
    for start, end in spans:
        for first, last in sorted(holes):
            if start < first < end:
                yield start, first
                start = last
        if start < end:
            yield start, end


def _next(positions: list[int], start: int) -> float:
    k = bisect_left(positions, start)
    return positions[k] if k < len(positions) else math.inf


def _limit(text: str, start: int, stop: int, category: str) -> int:
    """Return where a scope ends: after REACH words, counted anew at every item of a list."""
    remaining = REACH
    for word in re.finditer(r"[^\s,]+|,", text[start:stop]) if category in LIMITED else ():
        remaining = REACH if word[0] in (",", "or", "nor", "and") else remaining - 1
        if remaining < 0:
            return start + word.start()
    return stop


def _end_of_list(text: str, start: int, end: int) -> int:
    """Return where a denied list without "or" ends: "no cough, fever up to 39"."""
    if _JOINED.search(text, start, end):
        return end
    commas = [start + match.start() for match in re.finditer(",", text[start:end])]
    after = text.find(",", end)
    items = itertools.pairwise([*commas, after if after >= 0 else len(text)])
    return next((first for first, last in items if _STATED.search(text, first, last)), end)


def _places(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield where or when something is denied, which is not denied itself: "on the x-ray"."""
    for place in _PLACE.finditer(text, start, end):
        if text[start : place.start()].strip():
            yield place.span()


_JOINED = re.compile(r"\b(?:or|nor|and)\b")
_STATED = re.compile(r"\d|\b(?:since|all day|up to|today|yesterday|now|is|are|was|has)\b")
_PLACE = re.compile(
    r"\b(?:on|in|at|from|over|during|upon|of (?:the|my|your|his|her|both))\b"
    r"(?! (?:my|the|his|her|your) family)"
    r"(?:(?!\b(?:or|nor|and|but|is|was|are|were|has|have|had|when)\b)[^,])*"
)


def _family(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield what is said of a relative: up to the patient, or all before "in her mother"."""
    if _INFORMANT.match(text, end) or _TOGETHER.search(text[:start]):
        return
    if _BEFORE.search(text[:start]) or _RUNS.search(text[:start]):
        yield 0, start
    patient = _PATIENT.search(text, end)
    yield end, patient.start() if patient else len(text)
