"""Paths inside the project: root-relative, checked without following links."""

from pathlib import Path

import pytest

from clinical_camel.core import paths


@pytest.mark.parametrize(
    "text", ["", " ", "/etc/passwd", "~/x", "../x", "data/../../x", "C:\\x", "a\0b"]
)
def test_a_path_outside_the_project_is_rejected(text, project):
    with pytest.raises(ValueError, match="^path "):
        paths.path(text)


def test_a_link_inside_the_project_may_point_elsewhere(project, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "x.jsonl").write_text("{}\n")
    (project.root / "data").mkdir()
    (project.root / "data/public").symlink_to(elsewhere)
    assert paths.path("data/public/x.jsonl").read_text() == "{}\n"


def test_the_root_keeps_the_name_of_a_link(project, monkeypatch, tmp_path_factory):
    link = tmp_path_factory.mktemp("links") / "link"
    link.symlink_to(project.root)
    monkeypatch.setenv("CLINICAL_CAMEL_ROOT", str(link))
    assert paths.root() == link
    assert paths.relative(link / "outputs/x.csv") == "outputs/x.csv"


def test_a_file_elsewhere_is_recorded_by_its_name_only(project):
    assert paths.relative(Path.home() / "secret place/x.csv") == "x.csv"
