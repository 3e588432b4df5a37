"""The settings of step 01: datasets of the right shape, and contradictions."""

import pytest

from clinical_camel import dbke
from clinical_camel.dbke.settings import count_article_tokens

EXAM = '{"id": "1", "question": "Q?", "options": ["a", "b"], "answer": 0}\n'


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"min_exchanges": 7}, "min_exchanges: 7 is more than exchanges_per_dialogue, 6"),
        ({"articles": ["mini_exam"]}, "articles[0]: mini_exam holds Question rows, not Article"),
        (
            {"articles": ["mini_articles@my/x.jsonl"]},
            "articles[0]: mini_articles@my/x.jsonl: 1 bad line, nothing was read",
        ),
        ({"questions": ["mini_exam"]}, "questions[0]: mini_exam is an evaluation set"),
        ({"articles": ["my/z.jsonl"]}, "articles[0]: my/z.jsonl does not exist"),
        ({"language": "english"}, 'language: "english"'),
        ({"licences": {"": "CC BY"}}, "licences (a key): is empty"),
    ],
)
def test_each_problem_is_named_by_its_key(values, message, project):
    project.file("my/x.jsonl", EXAM)
    assert dbke.Synthesis.check({}) == []
    (problem,) = dbke.Synthesis.check(values)
    assert problem.startswith(message)


def test_the_article_has_the_context_without_prompt_and_reply():
    local = {"model": "m", "terms": "own"}
    assert count_article_tokens(dbke.Local(**local)) == 8192 - 1500 - 1500
    assert count_article_tokens(dbke.Local(**local, context=2000)) == 256
    assert count_article_tokens(dbke.Extractive()) == 0  # any length
