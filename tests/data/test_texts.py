"""Tests of data.texts: own files are cleaned or refused, published sets stay as they are."""

import warnings

import pytest
from tests.support.rows import ARTICLE, CONSULTATION, DIALOGUE, LETTERED, QUESTION, write_rows

from clinical_camel import data
from clinical_camel.data import texts

LOADERS = {
    "Question": (data.load_questions, QUESTION),
    "Dialogue": (data.load_dialogues, DIALOGUE),
    "Article": (data.load_articles, ARTICLE),
    "Consultation": (data.load_consultations, CONSULTATION),
}


def with_text(shape, text):
    """Return a row of the shape with this text, and the place of the text."""
    _, row = LOADERS[shape]
    if shape == "Question":
        return row | {"options": ["a", text]}, "options[1]"
    if shape == "Dialogue":
        return row | {"messages": [row["messages"][0], {"role": "assistant", "content": text}]}, (
            "messages[1]"
        )
    if shape == "Article":
        return row | {"sections": [{"heading": "", "text": text}]}, "sections[0].text"
    return row | {"note": text}, "note"


def read_text(shape, row):
    load, _ = LOADERS[shape]
    (loaded,) = load("my.jsonl")
    return {
        "Question": lambda: loaded.options[1],
        "Dialogue": lambda: loaded.messages[1]["content"],
        "Article": lambda: loaded.sections[0].text,
        "Consultation": lambda: loaded.note,
    }[shape]()


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
        ("👩\u200d⚕️ and می\u200cخواهم", "👩\u200d⚕️ and می\u200cخواهم"),  # joiners with a meaning
    ],
)
def test_every_text_of_an_own_file_is_cleaned(root, shape, text, clean):
    row, _ = with_text(shape, text)
    write_rows(root / "my.jsonl", [row])
    assert read_text(shape, row) == clean


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
    row, place = with_text(shape, text)
    write_rows(root / "my.jsonl", [row])
    with pytest.raises(data.DataError) as caught:
        LOADERS[shape][0]("my.jsonl")
    assert f"line 1: {place}: {problem}" in str(caught.value)
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


def test_control_characters_in_an_id_or_a_speaker_are_refused(root):
    turns = [{"speaker": "doc\x1b[2J", "text": "Hi"}, {"speaker": "patient", "text": "Ow"}]
    write_rows(root / "my.jsonl", [CONSULTATION | {"id": "a\x07", "turns": turns}])
    with pytest.raises(data.DataError, match=r"id: .*U\+0007.*turns\[0\].speaker: .*U\+001B"):
        data.load_consultations("my.jsonl")
