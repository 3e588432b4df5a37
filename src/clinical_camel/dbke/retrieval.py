"""Find sentences and passages of the articles that support an exam question, with BM25."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import lazy_loader

from clinical_camel import grounding
from clinical_camel.data import Article, Question
from clinical_camel.teachers import injection

bm25s = lazy_loader.load("bm25s")  # a second to import, which `plan` does not need
MAX_ANSWER_WORDS = 70  # longest answer that a person would speak
PASSAGE_WORDS = 120  # longest passage: about five sentences of one section


def find_passages(
    questions: Sequence[Question], articles: Sequence[Article], count: int
) -> list[tuple[str, ...]]:
    """Return up to `count` texts for each question: the sentence that supports its key, then more.

    The further texts are passages: the best one for question and key, then the best one for each
    other option, then the second best of each, and so on. With them a teacher can explain why the
    key is right and the other options are wrong. A passage with a prompt injection is skipped. A
    question without a supporting sentence has no passages: its answer would teach no medicine.
    """
    sentences = find_key_sentences(questions, articles)
    supported = [(q, s[0]) for q, s in zip(questions, sentences, strict=True) if s]
    if count < 2 or not supported:
        return sentences
    passages = list(dict.fromkeys(p for article in articles for p in split_passages(article)))
    index = bm25s.BM25()
    index.index(bm25s.tokenize(passages, show_progress=False), show_progress=False)
    more = {q.id: _rank_passages(index, passages, q, first, count - 1) for q, first in supported}
    return [(*s, *more.get(q.id, ())) for q, s in zip(questions, sentences, strict=True)]


def _rank_passages(
    index: bm25s.BM25, passages: Sequence[str], question: Question, sentence: str, count: int
) -> list[str]:
    others = [o for i, o in enumerate(question.options) if i != question.answer]
    texts = [f"{question.question} {question.options[question.answer]}", *others]
    queries = bm25s.tokenize(texts, show_progress=False)
    depth = min(count + 1, len(passages))
    numbers, scores = index.retrieve(queries, k=depth, show_progress=False)
    ranked = [
        passages[number]
        for rank in range(depth)
        for number, score in zip(numbers[:, rank], scores[:, rank], strict=True)
        if score > 0
    ]
    usable = (p for p in dict.fromkeys(ranked) if p != sentence and not injection.find_injection(p))
    return [passage for passage, _ in zip(usable, range(count), strict=False)]


def split_passages(article: Article) -> Iterator[str]:
    """Yield passages of complete sentences, at most PASSAGE_WORDS words, section by section.

    A longer sentence is skipped: it is a table or a list.
    """
    for section in article.sections:
        passage: list[str] = []
        for sentence in grounding.split_sentences(section.text):
            if passage and len(" ".join([*passage, sentence]).split()) > PASSAGE_WORDS:
                yield " ".join(passage)
                passage = []
            if len(sentence.split()) <= PASSAGE_WORDS:
                passage.append(sentence)
        if passage:
            yield " ".join(passage)


def find_key_sentences(
    questions: Sequence[Question], articles: Sequence[Article]
) -> list[tuple[str, ...]]:
    """Return for each question the sentence that best supports its key, or nothing."""
    sentences = [
        sentence
        for article in articles
        for section in article.sections
        for sentence in grounding.split_sentences(section.text)
        if 4 <= len(sentence.split()) <= MAX_ANSWER_WORDS
    ]
    claims = [(q.question, q.options[q.answer]) for q in questions]
    return [(best,) if best else () for best in grounding.find_support(claims, sentences)]
