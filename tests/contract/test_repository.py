"""Every check of the repository's shape, on this repository."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.contract.checks import CHECKS, Problems

REPOSITORY = Path(__file__).parents[2]
OLD_SUBJECTS = "3e53937"  # the last commit before subjects were short


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_repository_keeps_its_shape(check: Callable[[Path], Problems], monkeypatch):
    monkeypatch.delenv("CLINICAL_CAMEL_ROOT", raising=False)
    problems = list(check(REPOSITORY))
    assert not problems, "\n".join(problems)


def test_commit_subjects_fit_a_line():
    command = ["git", "-C", str(REPOSITORY), "log", "--format=%s", f"{OLD_SUBJECTS}..HEAD"]
    log = subprocess.run(command, capture_output=True, text=True, check=False)
    if log.returncode:
        pytest.skip("no history here")
    assert [subject for subject in log.stdout.splitlines() if len(subject) > 72] == []
