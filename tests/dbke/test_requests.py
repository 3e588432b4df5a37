"""Requests: their order, ids and sizes; long articles are split and lose nothing."""

import pytest
from tests.support.toy_dbke import GOUT

from clinical_camel import dbke
from clinical_camel.data import Article, Section
from clinical_camel.dbke import requests

LONG = Article(
    id="long",
    title="gout",
    licence="CC BY 4.0",
    sections=[
        Section(heading=f"Part {i}", text=" ".join(f"Sentence {i}.{j} is here." for j in range(9)))
        for i in range(6)
    ],
)
TWO_SECTIONS = 2 * requests.count_tokens(LONG.sections[0]) + 5


def test_an_id_in_two_sets_is_rejected():
    with pytest.raises(ValueError, match=r"two sets have the same id \(gout/0\)"):
        dbke.plan_requests([GOUT, GOUT], [], 1, 3, seed=0)


def test_a_long_article_is_split_at_headings_and_loses_nothing():
    parts = requests.split_article(LONG, TWO_SECTIONS)
    assert [len(part.sections) for part in parts] == [2, 2, 2]
    assert [s for part in parts for s in part.sections] == LONG.sections
    assert requests.split_article(LONG, 0) == [LONG]


def test_a_long_section_is_split_between_sentences():
    parts = requests.split_article(LONG, 40)
    assert all(sum(map(requests.count_tokens, part.sections)) <= 40 for part in parts)
    texts = (s.text for part in parts for s in part.sections)
    assert " ".join(texts) == " ".join(s.text for s in LONG.sections)


def test_each_part_of_a_long_article_has_a_request():
    planned = dbke.plan_requests([LONG], [], 5, 3, 0, TWO_SECTIONS)
    assert [r.id for r in planned] == [f"long/{i}" for i in range(5)]
    assert [(r.article.sections[0].heading, r.variant) for r in planned] == [
        ("Part 0", 0),
        ("Part 2", 0),
        ("Part 4", 0),
        ("Part 0", 1),
        ("Part 2", 1),
    ]
