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


WRONG = {
    "typo": (replaced("num_shots", "num_shotz"), ["num_shotz: not a parameter", "mean num_shots?"]),
    "typo leaves one missing": (replaced("num_shots", "num_shotz"), ["num_shots: missing"]),
    "missing": (replaced("packing: false\n", ""), ["packing: missing"]),
    "latin look-alike": (replaced("num_shots", "num_\u0455hots"), ["only looks like a Latin one"]),
    "1e-4 is text to YAML": (replaced("1.0e-4", "1e-4"), ["learning_rate", "write 1.0e-4"]),
    "2e2 is text to YAML": (replaced("1.0e-4", "2e2"), ["learning_rate", "write 200.0"]),
    "int for float": (replaced("1.0e-4", "1"), ["learning_rate: 1 is int, not float; write 1.0"]),
    "float for int": (replaced("100", "100.0"), ["token_budget", "write 100"]),
    "bool for int": (replaced("100", "true"), ["token_budget: true is bool, not int"]),
    "bool for int in a list": (replaced("[0]", "[yes]"), ["num_shots[0]: true is bool, not int"]),
    "int for bool": (replaced("false", "0"), ["packing: 0 is int, not bool; write true or false"]),
    "text for int": (replaced("100", "'100'"), ["token_budget", "write 100"]),
    "not a number": (replaced("1.0e-4", ".nan"), ["learning_rate: nan is not a finite number"]),
    "infinite": (replaced("1.0e-4", "-.inf"), ["learning_rate: -inf is not a finite number"]),
    "scalar for list": (replaced("[0]", "0"), ["num_shots: 0 is not a list; write [0]"]),
    "list for mapping": (replaced("{}", "[]"), ["folders: [] is not a mapping"]),
    "yes for text": (
        replaced("{}", "{base: no}"),
        ["folders.base: false is bool", 'quotes, "no"'],
    ),
    "number for text": (replaced("{}", "{base: 13}"), ["folders.base: 13 is int", 'quotes, "13"']),
    "date": (replaced("{}", "{base: 2023-05-19}"), ["line 4: folders.base", "read as a date"]),
    "null": (replaced("false", ""), ["line 5: packing: empty", '""']),
    "tilde": (replaced("100", "~"), ["line 6: token_budget: empty", "0 for no limit"]),
    "duplicate": (GOOD + "packing: true\n", ["line 7: packing: a duplicate key (first in line 5)"]),
    "duplicate inside": (replaced("{}", "{a: x, a: y}"), ["line 4: folders.a: a duplicate key"]),
    "tab": (
        replaced("folders: {}", "folders:\n\tbase: x"),
        ["line 5: a tab; indent with spaces"],
    ),
    "broken": (replaced("[0]", "[0"), ["line 4: "]),
    "empty": ("", ["the file is empty"]),
    "only a comment": ("# nothing\n", ["the file is empty"]),
    "a list": ("- a\n- b\n", ["not a mapping"]),
    "a sentence": ("hello\n", ["not a mapping"]),
    "key not text": (GOOD + "1: x\n", ["line 7: the key 1 is not text"]),
    "key read as bool": (GOOD + "on: x\n", ["line 7: the key on is not text"]),
    "base 60": (replaced("100", "1:40"), ["line 6: token_budget: 1:40 is read in base 60"]),
    "base 8": (replaced("100", "010"), ["token_budget: 010 is read in base 8"]),
    "merge": (replaced("{}", "{<<: {a: b}}"), ["line 4: folders: a merge key"]),
    "alias": (replaced("{}", "{a: &x y, b: *x}"), ["an alias; write the value out"]),
    "python tag": (replaced("{}", "{a: !!python/name:os.system x}"), ["the tag", "not allowed"]),
    "two documents": (GOOD + "---\n" + GOOD, ["a second document"]),
    "another study": (replaced("toy", "tox"), ['study: "tox" is not the name of its folder, toy']),
    "absolute path": (replaced("{}", "{a: /etc/passwd}"), ["folders.a", "is an absolute path"]),
    "home": (replaced("{}", "{a: ~/x}"), ["folders.a", "is an absolute path"]),
    "parent": (replaced("{}", "{a: outputs/../../x}"), ["folders.a", 'contains ".."']),
    "parent behind a reader": (replaced("{}", "{a: medqa@../x.jsonl}"), ['contains ".."']),
    "absolute behind a reader": (replaced("{}", "{a: medqa@/x.jsonl}"), ["is an absolute path"]),
    "path as a key": (replaced("{}", "{/etc/x: a}"), ["folders (a key)", "is an absolute path"]),
    "file address": (replaced("{}", "{a: 'file:///etc/x'}"), ["is a file address"]),
    "secret by name": (GOOD + "api_key: abc\n", ["api_key: looks like a secret", "environment"]),
    "secret inside": (
        replaced("{}", "{hf_token: abc}"),
        ["folders.hf_token: looks like a secret"],
    ),
    "secret by value": (
        replaced("{}", "{a: sk-abc123def456}"),
        ["folders.a: looks like a secret"],
    ),
    "token by value": (replaced("{}", "{a: hf_AbCdEfGhIjKlMnOp}"), ["looks like a secret"]),
    "password in an address": (
        replaced("{}", "{a: 'http://me:pw@host/'}"),
        ["looks like a secret"],
    ),
    "invisible": (replaced("{}", '{a: "mi\u200bni"}'), ["contains an invisible character"]),
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


def test_a_file_that_is_not_utf8_is_rejected(one_step):
    (one_step.root / "params/toy/03_third.yaml").write_bytes(b"study: \xff\n")
    with pytest.raises(runs.ParamsError, match="line 1: not UTF-8 text"):
        runs.load_params("toy", "03_third")


def test_an_unknown_study_or_step_names_the_nearest(one_step):
    with pytest.raises(runs.ParamsError, match="no such study; did you mean toy"):
        runs.load_params("toi", "03_third")
    one_step.params("toy", "03_thirds", GOOD)
    with pytest.raises(runs.ParamsError, match="did you mean 03_third"):
        runs.load_params("toy", "03_thirds")
