"""Files written completely or not at all; folders swapped by renames."""

import pytest

from clinical_camel.core import files


def test_a_full_disk_leaves_the_old_file_and_is_reported_with_its_name(tmp_path, monkeypatch):
    def fsync(_):
        raise OSError(28, "No space left on device")

    file = tmp_path / "a.json"
    files.write_json(file, {"a": 1})
    monkeypatch.setattr(files.os, "fsync", fsync)
    with pytest.raises(OSError, match=r"No space left on device: 'a\.json'"):
        files.write_json(file, {"a": 2})
    assert files.read_json(file) == {"a": 1}
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("content", [None, b"", b"{", b"[1]", b"\xff"])
def test_a_missing_or_damaged_json_file_is_empty(content, tmp_path):
    file = tmp_path / "a.json"
    if content is not None:
        file.write_bytes(content)
    assert files.read_json(file) == {}


def test_a_swap_keeps_the_earlier_folder_once(tmp_path):
    final = tmp_path / "step"
    for content in "abc":
        partial = tmp_path / "partial"
        partial.mkdir()
        (partial / "x").write_text(content)
        files.swap_in(partial, final)
    assert (final / "x").read_text() == "c"
    assert (files.previous_path(final) / "x").read_text() == "b"
    assert not partial.exists()


def test_journals_and_checkpoints_are_not_results(tmp_path):
    for name in ("t.csv", "adapter/a.bin", "journal_a.jsonl", "checkpoint-4/b.bin"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    assert list(files.hash_folder(tmp_path)) == ["adapter/a.bin", "t.csv"]
