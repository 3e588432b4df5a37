"""Every check of the repository's shape, on this repository."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.contract.checks import CHECKS, Problems
from tests.contract.quotes import check_quotes_are_few

REPOSITORY = Path(__file__).parents[2]
OLD_SUBJECTS = "3e53937"  # the last commit before subjects were short
# results name these commits, so they stay
LONG_SUBJECTS = ("8a82db2", "7910c55", "ec68ecf", "53b7a49", "1bdd180", "a0fd7f1", "6bf8c1c")
LONG_SUBJECTS += ("c028e4e", "f084053", "c142b05", "22d0a42")  # records of runs name later commits


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_repository_keeps_its_shape(check: Callable[[Path], Problems], monkeypatch):
    if check is check_quotes_are_few and not (REPOSITORY / "data/public").is_dir():
        pytest.skip("no data/public here, so quotes of it cannot be counted")
    monkeypatch.delenv("CLINICAL_CAMEL_ROOT", raising=False)
    problems = list(check(REPOSITORY))
    assert not problems, "\n".join(problems)


def test_commit_subjects_fit_a_line():
    command = ["git", "-C", str(REPOSITORY), "log", "--format=%H %s", f"{OLD_SUBJECTS}..HEAD"]
    log = subprocess.run(command, capture_output=True, text=True, check=False)
    if log.returncode:
        pytest.skip("no history here")
    subjects = dict(line.split(" ", 1) for line in log.stdout.splitlines())
    long = [name for name, subject in subjects.items() if len(subject) > 72]
    assert [subjects[name] for name in long if not name.startswith(LONG_SUBJECTS)] == []
