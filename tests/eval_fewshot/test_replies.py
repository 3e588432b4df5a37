"""Which option does a reply name? A table of replies; -1 is unread, which counts as incorrect."""

import time
from pathlib import Path

import pytest

from clinical_camel.eval_fewshot import parse_letter, parse_medalpaca
from clinical_camel.eval_fewshot.replies import UNREAD

OPTIONS = {
    "GOUT": ["Colchicine", "Allopurinol", "Ibuprofen", "Prednisolone"],
    "HEART": ["aspirin", "a beta blocker", "warfarin", "low-dose aspirin"],
    "ANSWERS": ["yes", "no", "maybe"],
    "LETTERS_IN_TEXT": ["Hepatitis A", "Hepatitis B", "Vitamin D", "B cells"],
    "DOSES": ["5 mg", "0.5 mg", "50 mg", "-5 mg"],
    "GERMS": ["C. difficile", "E. coli", "S. aureus", "D. none"],
    "NINE": [*"pqrstuvw", "xx"],
}
GOUT, HEART = OPTIONS["GOUT"], OPTIONS["HEART"]


def read_table():
    """Yield (reply, options, index) of replies.txt, where white space at the ends is lost."""
    for line in Path(__file__).with_name("replies.txt").read_text(encoding="utf-8").splitlines():
        name, option, replies = line.split(" ", 2)
        for reply in replies.split(" ¦ ") if name in OPTIONS else ():
            yield reply.replace("⏎", "\n"), OPTIONS[name], "-ABCDEFGHIJ".index(option) - 1


SPACED = [(" B ", GOUT, 1), ("\u200bB", GOUT, 1), ("1.\tB", GOUT, 1)]
SPACED += [("", GOUT, UNREAD), ("   ", GOUT, UNREAD)]


@pytest.mark.parametrize(("reply", "options", "option"), [*read_table(), *SPACED])
def test_a_reply_that_names_one_option_beyond_doubt_is_read(reply, options, option):
    assert parse_letter(reply, options) == option


def test_the_table_has_all_its_replies():
    assert len(list(read_table())) > 500


@pytest.mark.parametrize(
    "reply",
    ["A, B, ", "(", "answer is ", "{", "if B so ", "because if A ", "otherwise B, ", "B it is "],
)
def test_a_hostile_reply_is_read_in_seconds(reply):
    started = time.process_time()
    parse_letter(reply * (10_000 // len(reply)), GOUT)
    assert time.process_time() - started < 20


@pytest.mark.parametrize(
    ("replies", "option"),
    [  # eval_usmle.py: strip_special_chars, then ^[A-Z](:|\.|) .+
        (["A beta blocker"], 0),  # as in the original: a word that is a capital letter
        (["B: a beta blocker", "B. a beta blocker", "B a beta blocker", '"B: beta"'], 1),
        (["**B: a beta blocker**", "\n B: a\nmore", " B:  x"], 1),
        (["  C: warfarin"], 2),
        (["B", "B:", "b: a beta blocker", "The answer is B", "(B) a beta blocker"], UNREAD),
        (["F: nothing", "", "B:warfarin", "B.\nwarfarin", "B) warfarin", "Bx y"], UNREAD),
    ],
)
def test_medalpacas_replies_are_read_as_its_script_reads_them(replies, option):
    assert [parse_medalpaca(reply, HEART) for reply in replies] == [option] * len(replies)
