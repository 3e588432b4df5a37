"""The settings of step 01: datasets of the right shape, and contradictions."""

import pytest

from clinical_camel import dbke

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
