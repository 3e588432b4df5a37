"""Which exam questions stand in what a model was trained on: whole, in part, or lightly edited.

Words are compared, without case, punctuation and the forms of Unicode. As in GPT-3 (Brown et al.
2020, appendix C) and lm-evaluation-harness (docs/decontamination.md), 13 words in a row that a
source shares with the question or its context are an overlap. Two things are added: a question
shorter than that is looked for as a whole, and one with a few words changed by its similarity. The
thresholds were chosen by measurement (benchmarks/contamination.py).

The work grows with the words of the sources and the candidates they raise: a question is compared
with a source only if they share rare words, in a row and close together.
"""

import math
import re
import sys
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import pandas as pd
from tqdm import tqdm

from clinical_camel.data.shapes import Question, Row, row_text

RUN = 13  # words in a row; a question with fewer is looked for as a whole
FEW = 5  # a question with fewer words, or one that others ask too, counts only with its answer
NEAR = 100  # words after such a question in which its right option must stand
COMMON = 20  # words in a row that stand in more questions than this are a turn of phrase
ALIKE, ALIKE_SHORT = 0.6, 0.7  # similarity of a light edit; the second below RUN words
PART = 0.3  # share of the words of question and context that runs in common must cover
CLOSE = 0.15  # share of a question's rare pairs or triples of words that must stand close together

KINDS = ("question and answer", "question", "13-gram", "light edit")  # the strongest first
FOUND = ["benchmark", "trained_on", "id", "source", "kind", "similarity", "shared"]

_CJK = "\u3400-\u9fff\uf900-\ufaff"  # written without spaces: each character counts as a word
_WORD = re.compile(rf"[{_CJK}]|[^\W_{_CJK}]+")

Gram = tuple[str, ...]
Places = dict[Gram, list[tuple[int, int]]]  # number of the question, place of the gram in it
Match = tuple[str, float, str]  # kind, similarity, shared


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question as words; `vague`: too short, or asked with other options as well."""

    id: str
    words: list[str]
    told: list[str]  # a short one with its answer
    whole: list[str]  # with its context
    answer: list[str]
    vague: bool


@dataclass(frozen=True, slots=True)
class _Index:
    """The questions, how rare each word is, and where their rare pairs, triples and runs stand."""

    asked: list[_Asked]
    weight: dict[str, float]
    seeds: Places
    seed_count: Counter[int]
    sizes: list[int]
    runs: Places


def overlaps(
    questions: Sequence[Question], sources: Iterable[tuple[str, str]], part: float = PART
) -> pd.DataFrame:
    """The questions found in the sources, given as (id, text): a row for each such pair.

    Columns: id (of the question), source, kind, similarity, shared (words of the source). `kind`
    is the first of these that holds:

        question and answer  the whole question, its right option in the next NEAR words
        question             the whole question
        13-gram              RUN words in a row of the question or its context that stand in at most
                             COMMON questions, and such runs cover `part` of its words; similarity
                             is that share, or that of a light edit, if it is one too
        light edit           not whole, but the words of the question (below RUN words also those of
                             the question and its right option) stand in the same order in a stretch
                             of about their length; similarity is the share that do, by count or
                             weighted by rarity, whichever is less, and at least ALIKE

    A question of fewer than FEW words, or one that is asked with other options too ("Which of the
    following is true?"), counts only with its right option. Copies of a question each have their
    own rows. With `part=0.0` any such run counts, the rule of GPT-3; by it a quarter of the MedQA
    test set is in its development set, because vignettes share phrases ("is brought to the
    physician by his mother because of"). ValueError if two questions have one id.
    """
    index = _build(questions)
    rows = [row for source, text in sources for row in _found(index, source, words(text), part)]
    return pd.DataFrame(rows, columns=FOUND[2:])


def search_sources(
    questions: Mapping[str, Sequence[Question]], sources: Mapping[str, Sequence[Row]]
) -> pd.DataFrame:
    """`overlaps` of every benchmark with every source: its columns behind benchmark, trained_on."""
    indexes = {benchmark: _build(asked) for benchmark, asked in questions.items()}
    found = []
    for trained_on, rows in sources.items():
        here = {benchmark: [] for benchmark in indexes}
        for row in tqdm(rows, f"exams in {trained_on}", unit="row", file=sys.stdout):
            heard = words(row_text(row))
            for benchmark, index in indexes.items():
                here[benchmark] += _found(index, row.id, heard)
        found += [(name, trained_on, *each) for name, matches in here.items() for each in matches]
    return pd.DataFrame(found, columns=FOUND)


def words(text: str) -> list[str]:
    """The words of a text as they are compared.

    >>> words("Crohn's disease (ileal)"), words("β-Blocker?  ２５ mg"), words("胎心140次")
    (['crohn', 's', 'disease', 'ileal'], ['β', 'blocker', '25', 'mg'], ['胎', '心', '140', '次'])
    """
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def _build(questions: Sequence[Question]) -> _Index:
    ids = [question.id for question in questions]
    if len(set(ids)) < len(ids):
        raise ValueError(f"two questions have the id {Counter(ids).most_common(1)[0][0]!r}")
    options = defaultdict(set)
    for question in questions:
        options[tuple(words(question.question))].add(tuple(sorted(question.options)))
    asked = []
    for question in questions:
        said = words(question.question)
        vague = len(said) < FEW or len(options[tuple(said)]) > 1
        answer = words(question.options[question.answer])
        told = said if len(said) >= RUN else said + answer
        asked.append(_Asked(question.id, said, told, words(question.context) + said, answer, vague))
    seeds = _rare_grams([a.told for a in asked], [_seed_size(len(a.words)) for a in asked], True)
    counts = Counter(number for places in seeds.values() for number, _ in places)
    runs = _rare_grams([a.whole for a in asked], [RUN] * len(asked), False)
    texts = dict.fromkeys(tuple(each.told) for each in asked)
    spread = Counter(word for text in texts for word in dict.fromkeys(text))
    weight = {word: math.log(1 + len(texts) / count) for word, count in spread.items()}
    return _Index(asked, weight, seeds, counts, sorted({len(gram) for gram in seeds}), runs)


def _seed_size(length: int) -> int:
    return 3 if length >= RUN else min(2, length)


def _rare_grams(texts: Sequence[Sequence[str]], sizes: Sequence[int], keep_one: bool) -> Places:
    """Where the grams stand that at most COMMON different texts have; copies count as one text.

    `keep_one`: the rarest gram of a text that has only common ones, so that it can be found.
    """
    counts: Counter[Gram] = Counter()
    for text, size in dict.fromkeys(zip(map(tuple, texts), sizes, strict=True)):
        counts.update(dict.fromkeys(_grams(text, size), 1))
    places: Places = defaultdict(list)
    for number, (text, size) in enumerate(zip(texts, sizes, strict=True)):
        here = list(enumerate(_grams(text, size)))
        rare = [(place, gram) for place, gram in here if counts[gram] <= COMMON]
        if not rare and here and keep_one:
            rare = [min(here, key=lambda each: counts[each[1]])]
        for place, gram in rare:
            places[gram].append((number, place))
    return dict(places)


def _grams(text: Sequence[str], size: int) -> Iterator[Gram]:
    return zip(*(text[i:] for i in range(size)), strict=False)


def _found(index: _Index, source: str, heard: Sequence[str], part: float = PART) -> list[tuple]:
    """The questions that stand in one source, as rows of `overlaps`."""
    found = _shared_runs(index, heard, part)
    for number, (kind, similarity, shared) in _alike(index, heard):
        if kind == "light edit" and number in found:
            kind, _, shared = found[number]
        found[number] = (kind, similarity, shared)
    return [(index.asked[n].id, source, *match) for n, match in sorted(found.items())]


def _shared_runs(index: _Index, heard: Sequence[str], part: float) -> dict[int, Match]:
    """The questions of whose words the runs in common with the source cover at least `part`."""
    if index.runs.keys().isdisjoint(_grams(heard, RUN)):
        return {}  # most sources end here, and quickly
    covered: dict[int, set[int]] = defaultdict(set)
    first: dict[int, Gram] = {}
    for gram in _grams(heard, RUN):
        for number, place in index.runs.get(gram, ()):
            covered[number].update(range(place, place + RUN))
            first.setdefault(number, gram)
    shares = {n: len(places) / len(index.asked[n].whole) for n, places in covered.items()}
    return {n: ("13-gram", s, " ".join(first[n])) for n, s in shares.items() if s >= part}


def _alike(index: _Index, heard: Sequence[str]) -> Iterator[tuple[int, Match]]:
    """The questions that stand in the source as a whole or lightly edited."""
    hits: dict[int, list[int]] = defaultdict(list)  # where the question would start in the source
    for size in index.sizes:
        for position, gram in enumerate(_grams(heard, size)):
            for number, place in index.seeds.get(gram, ()):
                hits[number].append(position - place)
    for number, starts in hits.items():
        match = _whole(index.asked[number], starts, heard) or _edited(index, number, starts, heard)
        if match:
            yield number, match


def _whole(asked: _Asked, starts: Sequence[int], heard: Sequence[str]) -> Match | None:
    size, text = len(asked.words), " ".join(asked.words)
    ends = [
        s + size for s in dict.fromkeys(starts) if s >= 0 and heard[s : s + size] == asked.words
    ]
    if any(_holds(heard[end : end + NEAR], asked.answer) for end in ends):
        return "question and answer", 1.0, text
    return ("question", 1.0, text) if ends and not asked.vague else None


def _edited(
    index: _Index, number: int, starts: Sequence[int], heard: Sequence[str]
) -> Match | None:
    """The match of a question in the stretch of the source where most of its rare grams agree."""
    asked = index.asked[number]
    size, enough = len(asked.words), max(1, CLOSE * index.seed_count[number])
    if len(starts) < enough:
        return None
    first, last, close = _densest(starts, 2 + size // 4)
    if close < enough:
        return None
    begin, level = max(0, first), ALIKE if size >= RUN else ALIKE_SHORT
    for text in [asked.told, asked.words] if size < RUN else [asked.words]:
        stretch = heard[begin : last + len(text) + 1]
        similarity = _similarity(text, stretch, index.weight)
        if similarity < level:
            continue
        enough_said = not asked.vague or len(text) >= max(FEW, size + 1)
        if enough_said or _holds(heard[begin : begin + size + NEAR], asked.answer):
            return "light edit", similarity, " ".join(stretch)
    return None


def _densest(starts: Sequence[int], width: int) -> tuple[int, int, int]:
    """First and last of the starts within `width` of each other that are most, and how many."""
    ordered = sorted(starts)
    best, low = (0, 0), 0
    for high in range(len(ordered)):
        while ordered[high] - ordered[low] > width:
            low += 1
        best = max(best, (high - low + 1, -low))  # of equals the earliest
    count, low = best[0], -best[1]
    return ordered[low], ordered[low + count - 1], count


def _similarity(asked: Sequence[str], stretch: Sequence[str], weight: Mapping[str, float]) -> float:
    """The share of the words that stand in the stretch in order, by count or weight, the less."""
    there = set(stretch)
    if sum(word in there for word in asked) < ALIKE * len(asked):
        return 0.0  # it cannot be reached, and most candidates end here
    blocks = SequenceMatcher(None, asked, stretch, autojunk=False).get_matching_blocks()
    kept = [word for block in blocks for word in asked[block.a : block.a + block.size]]
    by_weight = sum(weight[word] for word in kept) / sum(weight[word] for word in asked)
    return min(len(kept) / len(asked), by_weight)


def _holds(heard: Sequence[str], wanted: Sequence[str]) -> bool:
    return f" {' '.join(wanted)} " in f" {' '.join(heard)} "
