"""Journals: an entry is on disk at once, and survives a kill."""

import subprocess
import sys

import pandas as pd
import pytest

from clinical_camel import runs


def test_a_journal_returns_what_was_appended(tmp_path):
    journal = runs.Journal(tmp_path / "journal_a.jsonl", {"model": "m"})
    journal.append("q1", {"text": "é\u2028", "pair": (1, 2), "score": pd.Series([0.5])[0]})
    journal.close()
    resumed = runs.Journal(tmp_path / "journal_a.jsonl", {"model": "m"})
    entry = {"text": "é\u2028", "pair": [1, 2], "score": 0.5}
    assert journal.done == resumed.done == {"q1": entry}  # with the types of JSON


def test_every_torn_last_line_is_removed(tmp_path):
    file = tmp_path / "journal_a.jsonl"
    journal = runs.Journal(file, 1)
    journal.append("one", {"x": 1})
    complete = file.stat().st_size
    journal.append("two", {"x": 2})
    journal.close()
    content = file.read_bytes()
    for cut in range(complete, len(content)):
        file.write_bytes(content[:cut])
        resumed = runs.Journal(file, 1)
        resumed.close()
        assert list(resumed.done) == ["one"]
        assert file.read_bytes() == content[:complete]


def test_a_killed_writer_loses_no_entry(tmp_path):
    code = (
        "import os, pathlib; from clinical_camel.runs import Journal\n"
        f"j = Journal(pathlib.Path({str(tmp_path / 'journal_a.jsonl')!r}), 1)\n"
        "for i in range(100): j.append(str(i), i)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    assert len(runs.Journal(tmp_path / "journal_a.jsonl", 1).done) == 100


def test_another_key_starts_afresh_and_the_earlier_journal_returns_with_its_key(tmp_path):
    file = tmp_path / "journal_a.jsonl"
    for key in ("A", "B"):
        journal = runs.Journal(file, key)
        assert journal.done == {}
        journal.append("made with", key)
        journal.close()
    assert runs.Journal(file, "A").done == {"made with": "A"}
    assert runs.Journal(file, "B").done == {"made with": "B"}


def test_a_damaged_line_inside_is_reported_by_its_number(tmp_path):
    file = tmp_path / "journal_a.jsonl"
    journal = runs.Journal(file, 1)
    journal.append("one", 1)
    journal.append("two", 2)
    journal.close()
    file.write_bytes(file.read_bytes().replace(b'"one"', b'"one'))
    with pytest.raises(ValueError, match="journal_a.jsonl, line 2: damaged"):
        runs.Journal(file, 1)
