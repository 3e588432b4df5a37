"""Params files: every kind of mistake is rejected with file, key and remedy."""

import pytest
from tests.support.project import Project

from clinical_camel import runs

CELL = """\
study: str = "mini_camel"  # params folder
learning_rate: float = 2.0e-4  # AdamW # peak
num_shots: list[int] = [0, 5]
folders: dict[str, str] = {
    "base": "",
}  # name: folder
packing: bool = True
token_budget: int = 0  # 0 means no limit
"""
GOOD = """\
study: toy
learning_rate: 1.0e-4
num_shots: [0]
folders: {}
packing: false
token_budget: 100
"""
READS = "print(study, learning_rate, num_shots, folders, packing, token_budget)"


@pytest.fixture
def one_step(project) -> Project:
    project.notebook("03_third", CELL, READS)
    project.params("toy", "03_third", GOOD)
    return project


def read_problems(text: str, project: Project) -> str:
    project.params("toy", "03_third", text)
    with pytest.raises(runs.ParamsError) as error:
        runs.load_params("toy", "03_third")
    return str(error.value)


def replaced(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


def test_a_complete_params_file_is_read_in_its_order(one_step):
    params = runs.load_params("toy", "03_third")
    names = ["study", "learning_rate", "num_shots", "folders", "packing", "token_budget"]
    assert list(params) == names
    assert params["learning_rate"] == 0.0001


# more kinds, in every step: tests/support/bad_params.py
WRONG = {
    "yes for text": (replaced("{}", "{base: no}"), ["folders.base: false is bool", 'quotes, "no"']),
    "date": (replaced("{}", "{base: 2023-05-19}"), ["line 4: folders.base", "read as a date"]),
    "null": (replaced("false", ""), ["line 5: packing: empty", '""']),
    "duplicate": (GOOD + "packing: true\n", ["line 7: packing: a duplicate key (first in line 5)"]),
    "duplicate inside": (replaced("{}", "{a: x, a: y}"), ["line 4: folders.a: a duplicate key"]),
    "key read as bool": (GOOD + "on: x\n", ["line 7: the key on is not text"]),
    "base 60": (replaced("100", "1:40"), ["line 6: token_budget: 1:40 is read in base 60"]),
    "base 8": (replaced("100", "010"), ["token_budget: 010 is read in base 8"]),
    "parent behind a reader": (replaced("{}", "{a: medqa@../x.jsonl}"), ['contains ".."']),
    "absolute behind a reader": (replaced("{}", "{a: medqa@/x.jsonl}"), ["is an absolute path"]),
    "file address": (replaced("{}", "{a: 'file:///etc/x'}"), ["is a file address"]),
    "password in an address": (
        replaced("{}", "{a: 'http://me:pw@host/'}"),
        ["looks like a secret"],
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_params_file_is_rejected_with_file_key_and_remedy(case, one_step):
    text, parts = WRONG[case]
    message = read_problems(text, one_step)
    for part in ("params/toy/03_third.yaml: ", *parts):
        assert part in message


def test_all_problems_of_a_file_come_in_one_message(one_step):
    message = read_problems("study: tox\nlearning_rat: 1\nnum_shots: 0\n", one_step)
    assert len(message.splitlines()) == 7  # 4 missing, 1 unknown, 1 not a list, 1 other study


def test_the_message_does_not_repeat_a_secret(one_step):
    message = read_problems(replaced("100", "sk-abc123def456"), one_step)
    assert "abc123def456" not in message


def test_an_unknown_study_or_step_names_the_nearest(one_step):
    with pytest.raises(runs.ParamsError, match="no such study; did you mean toy"):
        runs.load_params("toi", "03_third")
    one_step.params("toy", "03_thirds", GOOD)
    with pytest.raises(runs.ParamsError, match="did you mean 03_third"):
        runs.load_params("toy", "03_thirds")
