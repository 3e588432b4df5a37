"""What is asked of a teacher: one `Request` a dialogue, in a fixed order with fixed ids."""

import dataclasses
import hashlib
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from clinical_camel import grounding
from clinical_camel.data import Article, Question, Section
from clinical_camel.dbke.retrieval import passages_for

CHARACTERS = 3  # a token at least has, in English prose; medical prose has about four


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One dialogue to write: from `article`, or from `question` with `passages` that support it."""

    id: str
    exchanges: int
    seed: int
    article: Article | None = None
    variant: int = 0
    question: Question | None = None
    passages: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """What it is written from: `article` or `exam`."""
        return "exam" if self.question else "article"

    @property
    def source_text(self) -> str:
        """All the text that an assistant sentence may be taken from."""
        if self.question:
            return "\n".join((key_sentence(self.question), *self.passages))
        return "\n".join(section.text for section in self.article.sections)


def key_sentence(question: Question) -> str:
    """The right option of an exam question as the assistant first gives it."""
    return question.options[question.answer] + "."


def plan_requests(
    articles: Sequence[Article],
    questions: Sequence[Question],
    dialogues_per_article: int,
    exchanges_per_dialogue: int,
    seed: int,
    room: int = 0,
    passages: int = 1,
) -> list[Request]:
    """Everything that will be asked of the teacher, in a fixed order with fixed ids.

    An article of more than `room` tokens (0: any length fits) is taken piece by piece in turn, each
    piece at least once. A question comes with up to `passages` passages (`retrieval.passages_for`),
    as many of them as have room. ValueError names ids that stand in two sets.
    """
    requests = [
        request
        for article in articles
        for request in about(article, dialogues_per_article, exchanges_per_dialogue, seed, room)
    ]
    found = passages_for(questions, articles, passages)
    requests += [
        Request(
            id=question.id,
            question=question,
            passages=_fitting(texts, room),
            exchanges=2,
            seed=seed,
        )
        for question, texts in zip(questions, found, strict=True)
    ]
    twice = [name for name, count in Counter(r.id for r in requests).items() if count > 1]
    if twice:
        raise ValueError(f"articles, questions: the same id in two sets: {', '.join(twice[:5])}")
    return requests


def _fitting(texts: tuple[str, ...], room: int) -> tuple[str, ...]:
    """The first of the passages that have room together; the very first in any case."""
    sizes = itertools.accumulate(tokens(Section(heading="", text=text)) for text in texts)
    fit = sum(size <= room for size in sizes) if room else len(texts)
    return texts[: max(1, fit)]


def about(
    article: Article, dialogues: int, exchanges: int, seed: int, room: int = 0
) -> Iterator[Request]:
    """The requests on one article: see `plan_requests`."""
    parts = pieces(article, room)
    for i in range(max(dialogues, len(parts)) if dialogues else 0):
        yield Request(
            id=f"{article.id}/{i}",
            article=parts[i % len(parts)],
            variant=i // len(parts),
            exchanges=exchanges,
            seed=seed,
        )


def pieces(article: Article, room: int) -> list[Article]:
    """The article in pieces of at most `room` tokens, cut at headings; 0 leaves it whole.

    A section that is too long by itself is cut between sentences, under the same heading. A single
    sentence that is still too long stays whole: it is the teacher's to refuse. Tokens are counted
    as CHARACTERS each, which is more than any tokenizer needs for English prose.
    """
    if not room or sum(map(tokens, article.sections)) <= room:
        return [article]
    sections = [part for section in article.sections for part in _cut(section, room)]
    packed: list[list[Section]] = [[]]
    for section in sections:
        if packed[-1] and sum(map(tokens, [*packed[-1], section])) > room:
            packed.append([])
        packed[-1].append(section)
    return [dataclasses.replace(article, sections=part) for part in packed]


def _cut(section: Section, room: int) -> Iterator[Section]:
    if tokens(section) <= room:
        yield section
        return
    run = ""
    for sentence in grounding.split_sentences(section.text):
        longer = f"{run} {sentence}".strip()
        if run and tokens(Section(heading=section.heading, text=longer)) > room:
            yield Section(heading=section.heading, text=run)
            longer = sentence
        run = longer
    yield Section(heading=section.heading, text=run)


def tokens(section: Section) -> int:
    return -(-len(section.heading + section.text) // CHARACTERS) + 4  # and its heading's marks


def fingerprint(requests: Sequence[Request]) -> str:
    """A hash of everything that is asked of the teacher: which replies may be used again."""
    digest = hashlib.sha256()
    for request in requests:
        digest.update(repr(request).encode())
    return digest.hexdigest()[:16]
