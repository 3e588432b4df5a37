"""Forms: the accepted article dialogues, laid out as other training rows.

A form changes one thing and keeps the content: the same requests, the same sentence draws. Two
models that are tuned on two forms therefore differ by that one thing. What each form isolates:

    raw          the sentences of the dialogues in the article's own order, again and again: the
                 usual control
    monologue    raw, but the sentences are drawn and ordered as in the dialogues: redrawing and
                 order without any conversation
    headings     monologue with the questions as headings: the cue without a conversation
    qa           one question and its answer a row: questions and answers without several turns
    qa_shuffled  conversations as long as the dialogues, from pairs of all articles: several turns
                 without the coherence of one article
    dialogue     DBKE
    placebo      dialogues whose questions ask about another section: does the question matter?
    half_...     every second dialogue of an article in one form, the others in another (Synthetic
                 Mixed Training, arXiv:2603.23562, found mixed data better than either form alone)

Every row names its article for `sft_qlora.find_group`: a dialogue by its id, an article by `group`.
A row of `qa_shuffled` is from many articles, so all of them form one group.
"""

import dataclasses
import itertools
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import pandas as pd

from clinical_camel import data, grounding
from clinical_camel.data import Article, Dialogue, Section
from clinical_camel.dbke.extractive import OPENERS
from clinical_camel.dbke.settings import FORMS, Synthesis

Exchange = tuple[str, str]  # a question and its answer
Rows = list[Dialogue | Article]
COUNTED_ARTICLES = 100  # in the table of forms: the counts are shares, and splitting is slow
COLUMNS = ["form", "rows", "sentences", "words", "user_words", "assistant_words"]
HALVES = {
    "half_raw_half_qa": ("raw", "qa"),
    "half_raw_half_dialogue": ("raw", "dialogue"),
}


def lay_out(
    dialogues: Sequence[Dialogue], articles: Sequence[Article], form: str, seed: int
) -> Rows:
    """Return the rows of one form, in the order of the dialogues on `articles`.

    `dialogue` returns the dialogues themselves. `raw` gives each row as many sentences as the
    dialogue that it replaces, from those that the dialogues on the article copy: all of a short
    article, some of a long one. If a language model worded an answer, all sentences of the article
    are read, and a row has those that come nearest to the words of its dialogue's answers; what is
    too much or too little is made up for in the next row of the article. Raises ValueError for a
    dialogue whose article is missing.
    """
    if form == "dialogue":
        return list(dialogues)
    if form == "qa_shuffled":
        return list(_shuffle_exchanges(dialogues, seed))
    sources = _build_sources(dialogues, articles)
    halves = HALVES.get(form, (form, form))
    return [
        row
        for dialogue, half in _halve(dialogues)
        for row in _WRITERS[halves[half]](dialogue, sources[find_article(dialogue)], seed)
    ]


def find_article(dialogue: Dialogue) -> str:
    """Return the id of the article that a dialogue of step 01 is about."""
    return dialogue.id.rpartition("/")[0]


def _halve(dialogues: Sequence[Dialogue]) -> Iterator[tuple[Dialogue, int]]:
    """Yield each dialogue and its half, 0 or 1: they alternate, and so does the first half."""
    numbers = {name: n for n, name in enumerate(dict.fromkeys(map(find_article, dialogues)))}
    seen: Counter[str] = Counter()
    for dialogue in dialogues:
        name = find_article(dialogue)
        yield dialogue, (numbers[name] + seen[name]) % 2
        seen[name] += 1


class _Source:
    """An article, its sentences with their section, and how far `read` has come.

    `answers` are the sentences of all dialogues on the article. If each is a sentence of the
    article, only these are read.
    """

    def __init__(self, article: Article, answers: Sequence[str]) -> None:
        self.article = article
        self.sentences = [
            (number, sentence)
            for number, section in enumerate(article.sections)
            for sentence in grounding.split_sentences(section.text)
        ]
        drawn = set(answers)
        self.copies = drawn.issubset(sentence for _, sentence in self.sentences)
        self.read_sentences = [
            place for place in self.sentences if place[1] in drawn or not self.copies
        ]
        self.words = [_list_long_words(section.text) for section in article.sections]
        self.position = 0
        self.missing_words = 0

    def find_heading(self, answer: str) -> str:
        """Return the heading of the section that an answer is about.

        It is the section that contains the first sentence of the answer, else the section that
        shares the most words of more than three letters with the answer, else the first.
        """
        first = grounding.split_sentences(answer)[0]
        exact = [number for number, sentence in self.sentences if sentence == first]
        shared = [len(words & _list_long_words(answer)) for words in self.words]
        number = exact[0] if exact else shared.index(max(shared))
        return self.article.sections[number].heading

    def read(self, dialogue: Dialogue) -> list[Section]:
        """Return the next sentences of the article, as many as the answers of a dialogue have."""
        answers = _split_answers(dialogue)
        if self.copies:
            taken = [self._take() for _ in answers]
        else:
            self.missing_words += sum(len(sentence.split()) for sentence in answers)
            taken = []
            while not taken or self.missing_words > self._count_next() / 2:
                self.missing_words -= self._count_next()
                taken.append(self._take())
        groups = itertools.groupby(taken, key=lambda place: place[:2])  # of one pass and section
        return [
            Section(
                heading=self.article.sections[number].heading,
                text=" ".join(sentence for *_, sentence in group),
            )
            for (_, number), group in groups
        ]

    def _take(self) -> tuple[int, int, str]:
        """Return the next sentence with the number of its pass and of its section."""
        lap, place = divmod(self.position, len(self.read_sentences))
        self.position += 1
        return lap, *self.read_sentences[place]

    def _count_next(self) -> int:
        """Return the words of the next sentence."""
        place = self.position % len(self.read_sentences)
        return len(self.read_sentences[place][1].split())


def _build_sources(
    dialogues: Sequence[Dialogue], articles: Sequence[Article]
) -> dict[str, _Source]:
    """Return the source of each article that has a dialogue, by id."""
    by_id = {article.id: article for article in articles}
    answers: dict[str, list[str]] = {}
    for dialogue in dialogues:
        answers.setdefault(find_article(dialogue), []).extend(_split_answers(dialogue))
    missing = [name for name in answers if name not in by_id]
    if missing:
        raise ValueError(f"form: no article has the id {missing[0]!r}, which a dialogue is about")
    return {name: _Source(by_id[name], sentences) for name, sentences in answers.items()}


def _split_answers(dialogue: Dialogue) -> list[str]:
    """Return the sentences of the assistant."""
    return [s for _, answer in list_exchanges(dialogue) for s in grounding.split_sentences(answer)]


def _list_long_words(text: str) -> set[str]:
    return set(re.findall(r"\w{4,}", text.casefold()))


def list_exchanges(dialogue: Dialogue) -> list[Exchange]:
    """Return the questions and answers of a dialogue."""
    texts = [message["content"] for message in dialogue.messages]
    return list(zip(texts[::2], texts[1::2], strict=True))


def _make_dialogue(name: str, exchanges: Sequence[Exchange]) -> Dialogue:
    roles = ("user", "assistant")
    messages = [
        {"role": role, "content": text}
        for exchange in exchanges
        for role, text in zip(roles, exchange, strict=True)
    ]
    return Dialogue(id=name, source="article", messages=messages)


def _make_article(dialogue: Dialogue, source: _Source, sections: list[Section]) -> Article:
    article = source.article
    return dataclasses.replace(article, id=dialogue.id, sections=sections, group=article.id)


def _write_raw(dialogue: Dialogue, source: _Source, seed: int) -> Rows:
    return [_make_article(dialogue, source, source.read(dialogue))]


def _write_monologue(dialogue: Dialogue, source: _Source, seed: int) -> Rows:
    text = " ".join(answer for _, answer in list_exchanges(dialogue))
    return [_make_article(dialogue, source, [Section(heading="", text=text)])]


def _write_headings(dialogue: Dialogue, source: _Source, seed: int) -> Rows:
    sections = [Section(heading=q, text=a) for q, a in list_exchanges(dialogue)]
    return [_make_article(dialogue, source, sections)]


def _write_dialogue(dialogue: Dialogue, source: _Source, seed: int) -> Rows:
    return [dialogue]


def _write_qa(dialogue: Dialogue, source: _Source, seed: int) -> Rows:
    """Write a row for each exchange; the id keeps the article: "gout/2-0", "gout/2-1"."""
    exchanges = list_exchanges(dialogue)
    return [_make_dialogue(f"{dialogue.id}-{k}", [pair]) for k, pair in enumerate(exchanges)]


def _write_placebo(dialogue: Dialogue, source: _Source, seed: int) -> Rows:
    """Move the questions; the answers and the greeting of the first turn stay."""
    greeting, exchanges = _split_greeting(list_exchanges(dialogue))
    order = _choose_questions(dialogue, source, seed)
    moved = [(exchanges[k][0], answer) for k, (_, answer) in zip(order, exchanges, strict=True)]
    return [_make_dialogue(dialogue.id, _greet(greeting, moved))]


_WRITERS: dict[str, Callable[[Dialogue, _Source, int], Rows]] = {
    "raw": _write_raw,
    "monologue": _write_monologue,
    "headings": _write_headings,
    "qa": _write_qa,
    "dialogue": _write_dialogue,
    "placebo": _write_placebo,
}


def _choose_questions(dialogue: Dialogue, source: _Source, seed: int) -> list[int]:
    """Return for each answer of a dialogue the number of the question that `placebo` asks."""
    headings = [source.find_heading(answer) for _, answer in list_exchanges(dialogue)]
    return derange(headings, random.Random(f"{seed}/{dialogue.id}/placebo"))


def derange(labels: Sequence[str], rng: random.Random) -> list[int]:
    """Return a permutation that moves every index to one with another label, where possible.

    The indices are sorted by label, labels and equal labels in random order, and rotated by the
    size of the largest class. No index keeps its label if no label has more than half of the
    indices; otherwise as few as possible do.

    >>> labels = ["cause", "cause", "signs", "drugs"]
    >>> moved = [labels[k] for k in derange(labels, random.Random(0))]
    >>> sorted(moved[:2]), moved[2:]
    (['drugs', 'signs'], ['cause', 'cause'])
    """
    order = rng.sample(range(len(labels)), len(labels))
    rank = {label: n for n, label in enumerate(dict.fromkeys(labels[k] for k in order))}
    order.sort(key=lambda k: rank[labels[k]])
    shift = max(Counter(labels).values())
    moved = dict(zip(order, order[shift:] + order[:shift], strict=True))
    return [moved[k] for k in range(len(labels))]


def count_unmoved(
    dialogues: Sequence[Dialogue], articles: Sequence[Article], seed: int
) -> tuple[int, int]:
    """Return how many questions of `placebo` still ask about their answer's section, of all."""
    sources, unmoved, total = _build_sources(dialogues, articles), 0, 0
    for dialogue in dialogues:
        source = sources[find_article(dialogue)]
        headings = [source.find_heading(answer) for _, answer in list_exchanges(dialogue)]
        order = _choose_questions(dialogue, source, seed)
        unmoved += sum(headings[k] == heading for k, heading in zip(order, headings, strict=True))
        total += len(headings)
    return unmoved, total


def _shuffle_exchanges(dialogues: Sequence[Dialogue], seed: int) -> Iterator[Dialogue]:
    """Yield conversations as long as the dialogues, from the exchanges of all in random order.

    The greeting of a dialogue stays at the start of the conversation in its place.
    """
    greetings, pools = [], []
    for dialogue in dialogues:
        greeting, exchanges = _split_greeting(list_exchanges(dialogue))
        greetings.append(greeting)
        pools.append(exchanges)
    pool = list(itertools.chain.from_iterable(pools))
    random.Random(f"{seed}/qa_shuffled").shuffle(pool)
    rest = iter(pool)
    for number, (greeting, exchanges) in enumerate(zip(greetings, pools, strict=True)):
        drawn = list(itertools.islice(rest, len(exchanges)))
        yield _make_dialogue(f"qa_shuffled/{number}", _greet(greeting, drawn))


def _split_greeting(exchanges: Sequence[Exchange]) -> tuple[str, list[Exchange]]:
    """Return the extractive teacher's greeting, "" for none, and the exchanges without it."""
    (question, answer), *others = exchanges
    greeting = next((text for text in OPENERS if text and question.startswith(text)), "")
    return greeting, [(question.removeprefix(greeting), answer), *others]


def _greet(greeting: str, exchanges: Sequence[Exchange]) -> list[Exchange]:
    (question, answer), *others = exchanges
    return [(greeting + question, answer), *others]


def describe_form(
    settings: Synthesis, dialogues: Sequence[Dialogue], articles: Sequence[Article]
) -> str:
    """Return what a run saves, as a sentence; of `placebo` also how many questions could not move.

    These are questions of dialogues in which more than half of the answers are from one section.
    """
    form, seed = settings.form, settings.seed
    rows = lay_out(dialogues, articles, form, seed)
    text = f"Saved in the form {form} ({FORMS[form]}): {len(rows):,} rows."
    if form == "placebo":
        unmoved, total = count_unmoved(dialogues, articles, seed)
        text += f" {unmoved:,} of {total:,} questions still ask about the section of their answer."
    return text


def tabulate_forms(
    dialogues: Sequence[Dialogue], articles: Sequence[Article], seed: int
) -> pd.DataFrame:
    """Count what each form makes of the dialogues on the first COUNTED_ARTICLES articles.

    Columns: COLUMNS. `words` are all words of the rows; `sentences` and `assistant_words` are those
    of the assistant's turns, of an article those of its sections; an article has no `user_words`.
    What is left of `words` are titles and headings.
    """
    names = list(dict.fromkeys(map(find_article, dialogues)))[:COUNTED_ARTICLES]
    chosen = [dialogue for dialogue in dialogues if find_article(dialogue) in set(names)]
    counts = [(form, *_count(lay_out(chosen, articles, form, seed))) for form in FORMS]
    return pd.DataFrame(counts if chosen else [], columns=COLUMNS)


def _count(rows: Rows) -> tuple[int, ...]:
    """Return the values of COLUMNS for the rows of a form."""
    answers = [text for row in rows for text in _list_answers(row)]
    users = [m["content"] for d in rows if isinstance(d, Dialogue) for m in d.messages[::2]]
    return (
        len(rows),
        sum(len(grounding.split_sentences(text)) for text in answers),
        *(_count_words(texts) for texts in (map(data.format_row, rows), users, answers)),
    )


def _list_answers(row: Dialogue | Article) -> list[str]:
    if isinstance(row, Article):
        return [section.text for section in row.sections]
    return [message["content"] for message in row.messages[1::2]]


def _count_words(texts: Iterator[str] | Sequence[str]) -> int:
    return sum(len(text.split()) for text in texts)
