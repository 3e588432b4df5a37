"""Tests of data.texts: own files are cleaned or refused, published sets stay as they are."""

import copy
import functools
import operator
import re
import warnings

import pytest
from tests.support.rows import ARTICLE, CONSULTATION, DIALOGUE, LETTERED, QUESTION, write_rows

from clinical_camel import data
from clinical_camel.data import texts

LOADERS = {  # with the place of a text
    "Question": (data.load_questions, QUESTION, ["options", 1]),
    "Dialogue": (data.load_dialogues, DIALOGUE, ["messages", 1, "content"]),
    "Article": (data.load_articles, ARTICLE, ["sections", 0, "text"]),
    "Consultation": (data.load_consultations, CONSULTATION, ["note"]),
}


def load_with(root, shape, text):
    """Return the text of this shape as it is read from a file."""
    load, row, (*path, last) = LOADERS[shape]
    row = copy.deepcopy(row)
    functools.reduce(operator.getitem, path, row)[last] = text
    write_rows(root / "my.jsonl", [row])
    return functools.reduce(operator.getitem, [*path, last], data.to_dict(load("my.jsonl")[0]))


@pytest.mark.parametrize("shape", LOADERS)
@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (" Marfan syndrome", "Marfan syndrome"),
        ("Marfan syndrome\r\n", "Marfan syndrome"),
        ("\u00a0Marfan syndrome\t", "Marfan syndrome"),
        ("Mar\u200bfan\u00ad \ufeffsyndrome\u2060", "Marfan syndrome"),
        ("aspi\u200drin", "aspirin"),
        ("200&#x000A0;mg &lt; <i>n</i>", "200 mg < n"),
        ("10<sup>9</sup>/l", "10^9/l"),
        ("\ufb01brosis", "fibrosis"),  # a ligature of a PDF
        ("👩\u200d⚕️ and می\u200cخواهم", "👩\u200d⚕️ and می\u200cخواهم"),  # joiners with a meaning
    ],
)
def test_every_text_of_an_own_file_is_cleaned(root, shape, text, clean):
    assert load_with(root, shape, text) == clean


@pytest.mark.parametrize("shape", LOADERS)
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("<table><tr><td>x</td></tr></table>", "markup <table>"),
        ("a\x1b[31mb", "control character U+001B"),
        ("a\x07b", "control character U+0007"),
        ("caf\x85", "control character U+0085"),  # Windows-1252 read as Latin-1
        ("a\u202eb", "control character U+202E"),
        ("a\ufffdb", "U+FFFD, which marks a character that was lost"),
        ("\uf0b7 cough", "U+F0B7, a character of a symbol font"),
        ("a\U000e0041b", "control character U+E0041"),
        ("cafÃ©", "'Ã©' is UTF-8 that was read as Windows-1252"),
        ("the patientâ€™s", "'â€™' is UTF-8 that was read as Windows-1252"),
    ],
)
def test_what_cannot_be_undone_is_refused_with_line_and_place(root, shape, text, problem):
    *_, (first, *_) = LOADERS[shape]
    with pytest.raises(data.DataError, match=rf"line 1: {first}\S*: {re.escape(problem)}"):
        load_with(root, shape, text)
    assert len(data.check_spec("my.jsonl", (shape,), for_training=False)) == 1


@pytest.mark.parametrize(
    ("options", "are_equal"),
    [
        (["Aspirin", "aspirin"], True),
        (["Aspirin", "Aspirin "], True),
        (["Aspirin.", "Aspirin"], True),
        (["cafe\u0301", "caf\u00e9"], True),
        (["Aspirin  daily", "Aspirin daily"], True),
        (["AA", "Aa"], False),  # genotypes
        (["5 mg", "5 Mg"], False),
        (["10⁹", "109"], False),
        (["5 mg", "50 mg"], False),
    ],
)
def test_equal_options_of_an_own_exam_are_refused(root, options, are_equal):
    write_rows(root / "my.jsonl", [QUESTION | {"options": options}])
    problems = data.check_spec("my.jsonl", ("Question",), for_training=False)
    assert bool(problems) == are_equal
    assert all("options[1] and options[0] are the same" in problem for problem in problems)


@pytest.mark.parametrize(
    ("options", "have_letters"),
    [
        (["A. rest", "B. ice"], True),
        (["(a) rest", "(b) ice"], True),
        (["1) rest", "2) ice", "3) heat"], True),
        (["C. difficile", "E. coli"], False),
        (["A. rest", "ice"], False),
        (["1.5 mg", "2.5 mg"], False),
    ],
)
def test_options_that_begin_with_their_letters_are_refused(root, options, have_letters):
    write_rows(root / "my.jsonl", [QUESTION | {"options": options}])
    problems = data.check_spec("my.jsonl", ("Question",), for_training=False)
    assert ["options begin with their letters" in problem for problem in problems] == (
        [True] * have_letters
    )


def test_a_text_that_is_only_markup_is_empty(root):
    write_rows(root / "my.jsonl", [QUESTION | {"options": ["a", "<b></b>"]}])
    with pytest.raises(data.DataError, match=r"options\[1\] is empty"):
        data.load_questions("my.jsonl")


def test_a_published_set_stays_as_it_is_and_its_oddities_are_counted(root):
    odd = LETTERED | {"options": {"A": " x", "B": "X", "C": "&lt;"}, "question": "Which?\ufeff"}
    write_rows(root / "my.jsonl", [LETTERED, odd | {"id": "m2"}])
    with pytest.warns(UserWarning, match="texts of a published set are not changed") as caught:
        _, question = data.load_questions("medqa_us@my.jsonl")
    assert (question.options, question.question) == ([" x", "X", "&lt;"], "Which?\ufeff")
    message = str(caught[0].message)
    for count in (
        "1 white space at the ends of the option (first: m2)",
        "1 markup or entities (first: m2)",
        "1 invisible characters (first: m2)",
    ):
        assert count in message
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_rows(root / "my.jsonl", [LETTERED])
        assert len(data.load_questions("medqa_us@my.jsonl")) == 1


def test_equal_options_of_a_published_set_are_counted():
    row = data.from_dict(data.Question, QUESTION | {"options": ["Same", "same"]})
    assert texts.count_oddities([row]) == {"equal options": ["q1"]}


def test_cue_times_in_a_turn_are_refused(root):
    turns = [CONSULTATION["turns"][0], {"speaker": "patient", "text": "4 00:12.1 --> 00:13.0 No."}]
    write_rows(root / "my.jsonl", [CONSULTATION | {"turns": turns}])
    with pytest.raises(data.DataError, match=r"turns\[1\].text: '.*' is the time of a cue"):
        data.load_consultations("my.jsonl")


def test_control_characters_in_an_id_or_a_speaker_are_refused(root):
    turns = [{"speaker": "doc\x1b[2J", "text": "Hi"}, {"speaker": "patient", "text": "Ow"}]
    write_rows(root / "my.jsonl", [CONSULTATION | {"id": "a\x07", "turns": turns}])
    with pytest.raises(data.DataError, match=r"id: .*U\+0007.*turns\[0\].speaker: .*U\+001B"):
        data.load_consultations("my.jsonl")
