"""The variant `open_book`: the article on a question's condition precedes the question.

It is the ceiling of an exam on the articles: the model only has to read. A question belongs to the
article whose title or id is the question's `group`.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from clinical_camel import data
from clinical_camel.core.paths import root
from clinical_camel.core.values import nearest, show
from clinical_camel.data import Question, registry


def read_book(spec: str) -> dict[str, str]:
    """Return the text of each article of a dataset, by its id and by its title."""
    articles = data.load_articles(spec)
    texts = {article.id: data.format_article(article) for article in articles}
    return texts | {article.title: texts[article.id] for article in articles}


def add_article(question: Question, book: Mapping[str, str]) -> Question:
    """Return the question with its article as context, before a context that it has.

    `book`: `read_book`. Raises ValueError if there is no article for the question.
    """
    if question.group not in book:
        raise ValueError(_describe_missing(question, book))
    context = "\n".join(filter(None, [book[question.group], question.context]))
    return dataclasses.replace(question, context=context)


def _describe_missing(question: Question, book: Mapping[str, str]) -> str:
    if not question.group:
        return (
            f"open_book: question {question.id} has no group; write the title or id of its article"
        )
    hint = nearest(question.group, book)
    return (
        f"open_book: no article has the title or id {show(question.group)}, the group of question "
        f"{question.id}{hint or '; name the articles of this exam'}"
    )


def check_open_book(spec: str, benchmarks: Sequence[str]) -> Iterator[str]:
    """Yield, for each exam, why its first question without an article has none.

    Only what can be read at once is checked: shipped datasets and files outside outputs/. The rest
    is checked when step 03 makes its questions.
    """
    if not spec:
        yield "open_book: is empty, but variants has open_book; name the articles of the exam"
        return
    local = [name for name in benchmarks if _is_readable(name)] if _is_readable(spec) else []
    try:
        book = read_book(spec) if local else {}
        for name in local:
            missing = (q for q in data.load_questions(name) if q.group not in book)
            if question := next(missing, None):
                yield f"{_describe_missing(question, book)} (benchmark {data.label(name)})"
    except (OSError, ValueError) as error:
        yield f"open_book: {error}"


def _is_readable(spec: str) -> bool:
    """Return whether a dataset is shipped, or a file that no step of a study writes."""
    place = spec.rpartition("@")[2]
    if "/" in place or "." in place:
        return not place.startswith("outputs/") and (root() / place).is_file()
    return bool(registry.find_source(place).shipped)
