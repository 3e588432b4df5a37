"""Files for those who cite the project or run it in a container: they agree with the rest of it."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def read_dockerfile() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile, continued lines joined."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    text = re.sub(r"(?m)^#.*\n", "", text).replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return [(name, " ".join(rest.split())) for name, _, rest in (s.partition(" ") for s in lines)]


def test_the_citation_has_what_its_format_requires_and_what_the_project_says():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    assert citation.get("repository-code", "") == PROJECT.get("urls", {}).get("Repository", "")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert citation["title"] == readme.partition("\n")[0].removeprefix("# ")
    (paper,) = citation["references"]
    assert paper["url"] in readme


def test_the_image_has_a_python_that_the_project_supports():
    (base,) = [rest for name, rest in read_dockerfile() if name == "FROM"]
    version = re.fullmatch(r"python:(\d+)\.(\d+)-slim-\w+", base)
    assert version, base
    assert tuple(map(int, version.groups())) >= (3, 11)


def test_the_image_installs_the_lock_and_then_the_project():
    runs = " ".join(rest for name, rest in read_dockerfile() if name == "RUN")
    commands = re.findall(r"pip install (.*?)(?= &&|$| \.venv/bin| git )", runs)
    torch, lock, project = (command.replace("--quiet ", "") for command in commands)
    pattern = re.search(r"grep '(.+?)' requirements.lock", torch)[1]
    pins = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert len(re.findall(pattern, pins, re.MULTILINE)) == 1
    assert lock.startswith("--requirement requirements.lock")
    assert project.startswith("--no-deps --no-build-isolation --editable .")
    for name, rest in read_dockerfile():
        if name == "COPY":
            assert all((ROOT / source).exists() for source in rest.split()[:-1])


def test_there_is_an_image_for_a_cpu_and_one_for_cuda():
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    (default,) = [rest for name, rest in read_dockerfile() if name == "ARG"]
    assert default == "TORCH_INDEX=https://download.pytorch.org/whl/cpu"
    assert "--build-arg TORCH_INDEX=https://pypi.org/simple" in text
    assert "--gpus all" in text


ADAPTER = "outputs/mini_camel/02_sft_qlora/adapter"


@pytest.mark.parametrize("file", [".dockerignore", ".gitignore"])
def test_the_adapter_of_the_embedded_study_is_in_git_and_in_the_image(file):
    lines = [line.strip("/") for line in (ROOT / file).read_text(encoding="utf-8").splitlines()]
    excluded = [lines.index(name) for name in ("outputs/**/*.safetensors", "outputs/*/*/adapter")]
    included = [lines.index(name) for name in (f"!{ADAPTER}", f"!{ADAPTER}/*.safetensors")]
    assert max(excluded) < min(included)  # the last line that matches decides


@pytest.mark.parametrize("name", ["data/public", "data/models", "lab", "outputs/**/*.safetensors"])
def test_the_image_leaves_out_what_git_leaves_out(name):
    for file in (".dockerignore", ".gitignore"):
        lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
        assert name in [line.strip("/") for line in lines]
