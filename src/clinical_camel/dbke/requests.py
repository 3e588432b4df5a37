"""Requests to a teacher: one `Request` per dialogue, in a fixed order with fixed ids."""

import dataclasses
import hashlib
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from clinical_camel import grounding
from clinical_camel.data import Article, Question, Section
from clinical_camel.dbke.retrieval import find_passages

CHARACTERS_PER_TOKEN = 3  # a lower bound for English prose; medical prose has about four


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One dialogue to write: from `article`, or from `question` with `passages` that support it.

    With the task `paraphrase`, the article is reworded instead (see `paraphrase`).
    """

    id: str
    exchanges: int
    seed: int
    article: Article | None = None
    variant: int = 0
    question: Question | None = None
    passages: tuple[str, ...] = ()
    task: str = "dialogue"

    @property
    def source(self) -> str:
        """The kind of source: `article` or `exam`."""
        return "exam" if self.question else "article"

    @property
    def source_text(self) -> str:
        """All text that may support an assistant sentence."""
        if self.question:
            return "\n".join((format_key(self.question), *self.passages))
        return "\n".join(section.text for section in self.article.sections)


def format_key(question: Question) -> str:
    """Return the right option of an exam question as the assistant first gives it."""
    return question.options[question.answer] + "."


def plan_requests(
    articles: Sequence[Article],
    questions: Sequence[Question],
    dialogues_per_article: int,
    exchanges_per_dialogue: int,
    seed: int,
    article_tokens: int = 0,
    passages_per_question: int = 1,
) -> list[Request]:
    """Return all requests, articles first, in a fixed order with fixed ids.

    An article of more than `article_tokens` tokens is split (0: never); its dialogues rotate over
    the parts, and each part has at least one. A question has up to `passages_per_question`
    passages (`retrieval.find_passages`), as many as fit into `article_tokens`.

    Raises ValueError if two sets contain the same id.
    """
    requests = [
        request
        for article in articles
        for request in plan_article_requests(
            article, dialogues_per_article, exchanges_per_dialogue, seed, article_tokens
        )
    ]
    passages = find_passages(questions, articles, passages_per_question)
    requests += [
        Request(
            id=question.id,
            question=question,
            passages=_truncate_passages(texts, article_tokens),
            exchanges=2,
            seed=seed,
        )
        for question, texts in zip(questions, passages, strict=True)
    ]
    repeated = [name for name, count in Counter(r.id for r in requests).items() if count > 1]
    if repeated:
        ids = ", ".join(repeated[:5])
        raise ValueError(f"articles, questions: two sets have the same id ({ids}); remove one set")
    return requests


def _truncate_passages(texts: tuple[str, ...], max_tokens: int) -> tuple[str, ...]:
    """Return the first passages that fit together, and at least one."""
    sizes = itertools.accumulate(count_tokens(Section(heading="", text=text)) for text in texts)
    fit = sum(size <= max_tokens for size in sizes) if max_tokens else len(texts)
    return texts[: max(1, fit)]


def plan_article_requests(
    article: Article, dialogues: int, exchanges: int, seed: int, article_tokens: int = 0
) -> Iterator[Request]:
    """Yield the requests on one article: see `plan_requests`."""
    parts = split_article(article, article_tokens)
    for i in range(max(dialogues, len(parts)) if dialogues else 0):
        yield Request(
            id=f"{article.id}/{i}",
            article=parts[i % len(parts)],
            variant=i // len(parts),
            exchanges=exchanges,
            seed=seed,
        )


def split_article(article: Article, max_tokens: int) -> list[Article]:
    """Split an article at headings into parts of at most `max_tokens` tokens; 0 never splits.

    A section that is too long is split between sentences and keeps its heading. A sentence that is
    too long is not split. Tokens are estimated as CHARACTERS_PER_TOKEN characters each.
    """
    if not max_tokens or sum(map(count_tokens, article.sections)) <= max_tokens:
        return [article]
    parts: list[list[Section]] = [[]]
    for section in (s for long in article.sections for s in _split_section(long, max_tokens)):
        if parts[-1] and sum(map(count_tokens, [*parts[-1], section])) > max_tokens:
            parts.append([])
        parts[-1].append(section)
    return [dataclasses.replace(article, sections=part) for part in parts]


def _split_section(section: Section, max_tokens: int) -> Iterator[Section]:
    if count_tokens(section) <= max_tokens:
        yield section
        return
    text = ""
    for sentence in grounding.split_sentences(section.text):
        longer = f"{text} {sentence}".strip()
        if text and count_tokens(Section(heading=section.heading, text=longer)) > max_tokens:
            yield Section(heading=section.heading, text=text)
            longer = sentence
        text = longer
    yield Section(heading=section.heading, text=text)


def count_tokens(section: Section) -> int:
    """Estimate the tokens of a section, with 4 for the markup of its heading."""
    return -(-len(section.heading + section.text) // CHARACTERS_PER_TOKEN) + 4


def hash_requests(requests: Sequence[Request]) -> str:
    """Return a hash of the requests; recorded replies are reused only under the same hash."""
    digest = hashlib.sha256()
    for request in requests:
        digest.update(repr(request).encode())
    return digest.hexdigest()[:16]
