"""What stands behind an exam question: sentences and passages of the articles, found by BM25."""

from collections.abc import Iterator, Sequence

import bm25s

from clinical_camel import grounding
from clinical_camel.data import Article, Question
from clinical_camel.dbke import injection

MAX_ANSWER_WORDS = 70  # of what a person would say at a time
PASSAGE_WORDS = 120  # of a passage: some five sentences of one section


def passages_for(
    questions: Sequence[Question], articles: Sequence[Article], count: int
) -> list[tuple[str, ...]]:
    """For each question up to `count` texts, the sentence that best supports its key first.

    Behind it stand passages: the best for question and key, then the best for each other option,
    then the next best of each in turn, so that a teacher can say why the key is right and the
    others are wrong. None that gives orders to a model is taken. A question without a supporting
    sentence has nothing at all: the answer would stand there without any medicine to learn.
    """
    found = support(questions, articles)
    wanted = [(q, first[0]) for q, first in zip(questions, found, strict=True) if first]
    if count < 2 or not wanted:
        return found
    known = list(dict.fromkeys(text for article in articles for text in cut(article)))
    index = bm25s.BM25()
    index.index(bm25s.tokenize(known, show_progress=False), show_progress=False)
    more = {q.id: _best(index, known, q, first, count - 1) for q, first in wanted}
    return [(*first, *more.get(q.id, ())) for q, first in zip(questions, found, strict=True)]


def _best(
    index: bm25s.BM25, known: Sequence[str], question: Question, first: str, count: int
) -> list[str]:
    options = [o for i, o in enumerate(question.options) if i != question.answer]
    asked = [f"{question.question} {question.options[question.answer]}", *options]
    queries = bm25s.tokenize(asked, show_progress=False)
    depth = min(count + 1, len(known))
    numbers, scores = index.retrieve(queries, k=depth, show_progress=False)
    ranked = [
        known[number]
        for place in range(depth)
        for number, score in zip(numbers[:, place], scores[:, place], strict=True)
        if score > 0
    ]
    fresh = (text for text in dict.fromkeys(ranked) if text != first and not injection.orders(text))
    return [text for text, _ in zip(fresh, range(count), strict=False)]


def cut(article: Article) -> Iterator[str]:
    """The article in passages of whole sentences, at most PASSAGE_WORDS words, section by section.

    A longer sentence is left out: it is a table, or a list.
    """
    for section in article.sections:
        run: list[str] = []
        for sentence in grounding.split_sentences(section.text):
            if run and len(" ".join([*run, sentence]).split()) > PASSAGE_WORDS:
                yield " ".join(run)
                run = []
            if len(sentence.split()) <= PASSAGE_WORDS:
                run.append(sentence)
        if run:
            yield " ".join(run)


def support(questions: Sequence[Question], articles: Sequence[Article]) -> list[tuple[str, ...]]:
    """For each question the article sentence that best supports its right answer, or nothing."""
    sentences = [
        sentence
        for article in articles
        for section in article.sections
        for sentence in grounding.split_sentences(section.text)
        if 4 <= len(sentence.split()) <= MAX_ANSWER_WORDS
    ]
    claims = [(q.question, q.options[q.answer]) for q in questions]
    return [(found,) if found else () for found in grounding.best_support(claims, sentences)]
