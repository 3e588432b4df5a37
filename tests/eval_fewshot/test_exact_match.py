"""Free answers: which replies match the correct answer, and which contain it."""

import pytest

from clinical_camel.eval_fewshot.exact_match import (
    OTHER,
    contains_answer,
    is_complete,
    normalize_answer,
    parse_exact,
)
from clinical_camel.eval_fewshot.replies import UNREAD

OPTIONS = ["anti-CCP antibodies", "a dose of ACTH", "St. John's wort", "hepatitis A", "hepatitis B"]


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The  Anti-CCP\tantibodies!", "anticcp antibodies"),
        ("a dose of an ACTH", "dose of acth"),
        ("hepatitis A", "hepatitis a"),  # no article: the capital does not begin the text
        ("A hepatitis", "hepatitis"),
        ('"A fever"', "fever"),
        ("IgG\N{EN DASH}antibodies\N{ZERO WIDTH SPACE}", "iggantibodies"),
        ("ﬁbrosis", "fibrosis"),
        ("theatre", "theatre"),
        ("...", ""),
    ],
)
def test_an_answer_is_normalised_as_in_squad_but_a_capital_a_is_a_letter(text, normal):
    assert normalize_answer(text) == normal


@pytest.mark.parametrize(
    ("reply", "option"),
    [
        ("anti-CCP antibodies", 0),
        ("Anti-CCP antibodies.", 0),
        ("\n\n  the anti-CCP antibodies\nQuestion: What next?\nAnswer: a dose of ACTH", 0),
        ("Anti-CCP antibodies. A dose of ACTH is wrong.", 0),
        ("A dose of ACTH", 1),
        ("St. John's wort", 2),  # the line counts, so "St." is no answer
        ("St. John's wort. It is a herb.", OTHER),  # and here neither the line nor "St." matches
        ("Hepatitis A", 3),
        ("hepatitis", OTHER),
        ("The test is anti-CCP antibodies.", OTHER),
        ("anti-CCP antibodies and a dose of ACTH", OTHER),
        ("not anti-CCP antibodies", OTHER),
        ("anti-CCP", OTHER),
        ("I do not know.", OTHER),
        ("", UNREAD),
        (" \n ...\n", UNREAD),
    ],
)
def test_a_reply_matches_an_option_only_as_a_complete_line_or_first_sentence(reply, option):
    assert parse_exact(reply, OPTIONS) == option


@pytest.mark.parametrize(
    ("reply", "contains"),
    [
        ("Gout is confirmed by anti-CCP antibodies.", True),
        ("Anti-CCP\nantibodies", True),
        ("anti-CCP and other antibodies", False),
        ("anti-CCP antibodiesX", False),
        ("", False),
    ],
)
def test_a_reply_contains_the_answer_if_its_words_are_there_in_a_row(reply, contains):
    assert contains_answer(reply, OPTIONS[0]) is contains


@pytest.mark.parametrize(
    ("reply", "has_ended", "complete"),
    [
        ("rest", True, True),
        ("rest", False, False),
        ("rest\nQuestion:", False, True),
        ("", True, False),
        (" \n ", False, False),
    ],
)
def test_a_reply_is_complete_if_its_first_line_ends(reply, has_ended, complete):
    assert is_complete(reply, has_ended) is complete
