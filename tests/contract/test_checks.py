"""Each check of the repository's shape is seen to fail, on a small good project with one fault."""

import json
import os
import subprocess
from collections.abc import Callable

import pytest
from tests.contract import checks, prose, quotes, results, setup_cells
from tests.contract.checks import CHECKS
from tests.support.project import Project

from clinical_camel import data
from clinical_camel.core.hashing import hash_file
from clinical_camel.runs.notebooks import hash_code, read_cells

# ------------------------------------------------------- each check is seen to fail, on a toy

PARAMS_CELL = 'study: str = "mini_camel"\nseed: int = 0'
CODE = "from clinical_camel import data, first, runs\nprint(study, seed)"
COMMIT = "0123456789abcdef"
LAYERS = "".join(
    f"    {name:<8} text\n" for name in ("core", "data", "models", "first", "runs", "mini")
)
SOURCE = "src/clinical_camel"
LOCK = "torch==2.13.0\npytest==9.2.0\nnumpy==2.4.6\n"
PYPROJECT = """\
[project]
dependencies = ["torch==2.13.0"]
[project.optional-dependencies]
test = ["pytest==9.2.0"]
[tool.setuptools.package-data]
clinical_camel = ["mini/*"]
"""
ENVIRONMENT = "dependencies:\n- python=3.11\n- pip\n- pip:\n  - torch==2.13.0\n  - -e .\n"


@pytest.fixture
def toy(project) -> Project:
    """The smallest project that keeps every rule, with one committed result."""
    notebook = project.notebook("01_first", PARAMS_CELL, CODE)
    for study in ("mini_camel", "big"):
        project.params(study, "01_first", f"study: {study}\nseed: 0\n")
    project.file(f"{SOURCE}/__init__.py", f'"""The layers:\n\n{LAYERS}"""\n')
    for name in ("__main__", "core", "data", "models", "first", "runs/__init__", "mini/build"):
        project.file(f"{SOURCE}/{name}.py", '"""A module."""\n')
    for name in ("core", "data", "models", "first", "runs", "mini"):
        project.file(f"tests/test_{name}.py", "")
    project.file("README.md", "Research only\n")
    project.file("requirements.lock", LOCK)
    project.file("pyproject.toml", PYPROJECT)
    project.file("environment.yml", ENVIRONMENT)
    content = json.loads(notebook.read_text())
    for i, cell in enumerate(content["cells"][1:], start=1):
        cell["execution_count"] = i
    content["metadata"]["papermill"] = {
        "parameters": {"study": "big", "seed": 0},
        "start_time": "2026-11-28T10:00:00+00:00",
        "end_time": "2026-11-28T10:01:00+00:00",
    }
    project.file("outputs/big/01_first.ipynb", json.dumps(content))
    table = project.file("outputs/big/01_first/scores.csv", "accuracy\n0.5\n")
    exam = project.file("src/clinical_camel/mini/exam.jsonl", "{}\n")
    project.file("src/clinical_camel/mini/build.json", '{"weights_sha256": "ab"}')
    record = {"status": "complete", "dirty": False, "commit": COMMIT}
    record["started"] = "2026-11-28T10:00:30+00:00"
    record["artefacts"] = {"scores.csv": hash_file(table)}
    shipped = {"path": "exam.jsonl", "rows_from": "shipped", "sha256": hash_file(exam)}
    record["notes"] = {"sources": [shipped], "models": {"base": {"model_sha256": "ab"}}}
    record["params"] = {"study": "big", "seed": 0}
    record["notebook_hash"] = hash_code(read_cells(notebook))
    project.file("outputs/big/01_first/run.json", json.dumps(record))
    return project


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_toy_project_has_no_problem(check, toy):
    assert list(check(toy.root)) == []


def write(place: str, text: str) -> Callable[[Project], object]:
    return lambda toy: toy.file(place, text)


def code(text: str) -> Callable[[Project], object]:
    return write(f"{SOURCE}/data.py", text)


def swap(place: str, old: str, new: str) -> Callable[[Project], object]:
    def change(toy: Project) -> None:
        text = (toy.root / place).read_text()
        assert old in text, f"{old} is not in {place}"
        toy.file(place, text.replace(old, new))

    return change


def delete(place: str) -> Callable[[Project], object]:
    return lambda toy: (toy.root / place).unlink()


def both(*changes: Callable[[Project], object]) -> Callable[[Project], object]:
    return lambda toy: [change(toy) for change in changes]


def cells(*sources: str) -> Callable[[Project], object]:
    return lambda toy: toy.notebook("01_first", PARAMS_CELL, CODE, *sources)


def note(text: str) -> Callable[[Project], object]:
    def change(toy: Project) -> None:
        content = json.loads((toy.root / NOTEBOOK).read_text())
        content["cells"][0]["source"] += f"\n{text}\n"
        toy.file(NOTEBOOK, json.dumps(content))

    return change


def command(words: str) -> Callable[[Project], object]:
    return note(f"```\npapermill {words}\n```")


def with_output(**output: object) -> Callable[[Project], object]:
    def change(toy: Project) -> None:
        file = toy.root / "outputs/big/01_first.ipynb"
        content = json.loads(file.read_text())
        content["cells"][-1]["outputs"] = [{"output_type": "display_data", **output}]
        file.write_text(json.dumps(content))

    return change


def quote(count: int, place: str, repeat: int = 1) -> Callable[[Project], object]:
    """A public exam of nine questions, of which a committed file quotes `count`."""
    numbers = "one two three four five six seven eight nine".split()  # noqa: SIM905
    texts = [f"Which drug does patient {n} need in ward {n}?" for n in numbers]
    rows = [{"id": n, "question": t, "options": {}} for n, t in zip(numbers, texts, strict=True)]

    def change(toy: Project) -> None:
        toy.file("data/public/exam/exam.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows))
        cells = "\n".join(f'"{i}. {text}"' for i, text in enumerate(texts[:count] * repeat))
        toy.file(place, f"text\n{cells}\n" if place.endswith(".csv") else json.dumps(cells))

    return change


def with_source(spec: str) -> Callable[[Project], object]:
    def change(toy: Project) -> None:
        file = toy.root / "outputs/big/01_first/run.json"
        record = json.loads(file.read_text())
        record["notes"]["sources"].append({"spec": spec, "rows_from": "file", "path": spec})
        file.write_text(json.dumps(record | {"x": 1}))

    return change


def test_a_handful_of_questions_may_be_quoted_with_their_authors(toy):
    quote(5, "outputs/big/01_first/few.csv", repeat=3)(toy)
    assert list(quotes.check_quotes_are_few(toy.root)) == []
    with_source("pubmedqa@data/public/pubmedqa/x.jsonl")(toy)
    page = data.format_attributions(["pubmedqa"])
    with_output(data={"text/html": page, "text/plain": "<HTML>"})(toy)
    assert list(quotes.check_quotes_name_their_authors(toy.root)) == []


few, authors = quotes.check_quotes_are_few, quotes.check_quotes_name_their_authors
short, answered = prose.check_notebooks_are_short, prose.check_questions_have_answers
argue, whole = checks.check_notebooks_argue, results.check_results_are_whole
stem, layer = checks.check_one_stem_per_step, checks.check_layers
params_fit = checks.check_params_fit_their_notebook
defaults = checks.check_defaults_are_the_embedded_study
banner = checks.check_banner
circle = checks.check_no_import_circle
identifiers = checks.check_identifiers
columns = checks.check_columns
source = checks.check_source
machine_paths = checks.check_no_machine_paths
pins = checks.check_pins_agree
repeated = checks.check_cells_repeat_the_settings
settings_read = checks.check_every_setting_is_read
families = checks.check_validation_has_two_families
commands = checks.check_papermill_commands_work
traceable = results.check_results_are_traceable
NOTEBOOK, RESULT = "notebooks/01_first.ipynb", "outputs/big/01_first.ipynb"
RECORD = "outputs/big/01_first/run.json"
STALE = f"- big/01_first: {COMMIT[:7]} no GPU at hand\n"
HOME = "/" + "home/ada/x"
ONE_ANSWER = "<details><summary>Answers</summary>\n\n1. Yes.\n\n</details>"

BROKEN = [
    (delete(NOTEBOOK), checks.check_globs_match, "no notebook"),
    (delete("params/big/01_first.yaml"), traceable, "params file or its notebook"),
    (swap("params/big/01_first.yaml", "seed", "sede"), params_fit, "mean seed"),
    (swap("params/big/01_first.yaml", "big", "bag"), params_fit, "its folder"),
    (swap("params/mini_camel/01_first.yaml", "0", "1"), defaults, "seed: 1, the cell has 0"),
    (delete("params/mini_camel/01_first.yaml"), defaults, "mini_camel/01_first.yaml: missing"),
    (swap(NOTEBOOK, "# 01 ", "# 02 "), argue, "no title # 01"),
    (swap(NOTEBOOK, "python3", "my-env"), argue, "kernel is not python3"),
    (swap(NOTEBOOK, "mini_camel", "big"), argue, "study is not mini_camel"),
    (swap(NOTEBOOK, '"execution_count": null', '"execution_count": 1'), argue, "count"),
    (cells("def f():\n    pass"), argue, "code cell 3: a function"),
    (cells("if seed:\n    class A: ..."), argue, "code cell 3: a function"),
    (cells("x = 1\n" * 15), argue, "code cell 3: 15 lines"),
    (cells(*["1"] * 14), argue, "more than 15 code cells"),
    (swap(NOTEBOOK, "Research only", "Only"), banner, "01_first.ipynb: the first cell"),
    (write("README.md", "For everyone\n"), banner, "README.md: does not say"),
    (command("gone.ipynb outputs/big/x.ipynb"), commands, "gone.ipynb: no such notebook"),
    (command(f"{NOTEBOOK} outputs/none/x.ipynb"), commands, "outputs/none: not there"),
    (command(f"{NOTEBOOK} outputs/big/x.ipynb -p sede 1"), commands, "sede: no parameter"),
    (command(f"{NOTEBOOK} outputs/big/x.ipynb -y '{{sede: 1}}'"), commands, "sede: no parameter"),
    (note("word " * prose.MAX_WORDS), short, "words of visible prose, more than 1,000"),
    (note("## What to notice\n\n1. Is it?"), answered, "questions: 1, answers in the fold: 0"),
    (note(f"## What to notice\n\n- Is it?\n- Why?\n\n{ONE_ANSWER}"), answered, "questions: 2, a"),
    (note(f"## What to notice\n\nLook.\n\n{ONE_ANSWER}"), answered, "questions: 0, answers"),
    (note(f"What to notice: look.\n\n## Next\n\n{ONE_ANSWER}"), answered, "questions: 0, a"),
    (note("[x](../README.md#gone)"), prose.check_links_reach_a_heading, "no heading gone"),
    (note("[x](../gone.md#x)"), prose.check_links_reach_a_heading, "gone.md has no heading x"),
    (delete(f"{SOURCE}/first.py"), stem, "clinical_camel/first: missing"),
    (write(f"{SOURCE}/utils.py", ""), stem, "docstring does not list utils"),
    (delete("tests/test_first.py"), stem, "tests/first: no test"),
    (delete("tests/test_runs.py"), stem, "tests/runs: no test"),
    (delete(f"{SOURCE}/models.py"), stem, "lists models, which does not exist"),
    (
        write(f"{SOURCE}/first.py", "from clinical_camel import runs"),
        layer,
        "first.py: may not import runs",
    ),
    (code("from . import models"), layer, "may not import models"),
    (
        write(f"{SOURCE}/models.py", "def f():\n    from clinical_camel.mini import build"),
        layer,
        "models.py: may not import mini",
    ),
    (write(f"{SOURCE}/runs/record.py", "import clinical_camel.data"), layer, "import data"),
    (code("import clinical_camel.mini"), layer, "may not import mini"),
    (write(f"{SOURCE}/__main__.py", "from clinical_camel import data"), layer, "import data"),
    (
        both(
            write(f"{SOURCE}/runs/a.py", "from clinical_camel.runs import b"),
            write(f"{SOURCE}/runs/b.py", "from clinical_camel.runs.a import x"),
        ),
        circle,
        "import circle: clinical_camel.runs.",
    ),
    (
        write("tests/test_first.py", "from drills import runner"),
        checks.check_tests_stand_alone,
        "tests/test_first.py: may not import drills",
    ),
    (
        write("tests/runs/test_gone.py", ""),
        checks.check_tests_mirror_the_source,
        "test_gone.py: no module src/clinical_camel/runs/gone.py",
    ),
    (code("asked = 1"), identifiers, "data.py: line 1: asked"),
    (code("def f(told): ..."), identifiers, "told: 'told'"),
    (write("tests/support/x.py", "class WhatIsKept: ..."), identifiers, "'kept'"),
    (cells("found = 1"), identifiers, "code cell 3: line 1: found"),
    (write("outputs/big/x.csv", "id,said_by\n"), columns, "column said_by"),
    (write("params/big/01_first.yaml", "kept: 1\n"), columns, "01_first.yaml: kept"),
    (
        code("from clinical_camel import models as m"),
        checks.check_imports_need_no_alias,
        "models is imported as m",
    ),
    (code("def refuse_x(): ..."), families, "call it check_*"),
    (code("def check_x():\n    raise E"), families, "is a require_*"),
    (code("def require_x(): ..."), families, "a require_* raises"),
    (
        code("def f(a, b, c, d, e, f, g, *, h): ..."),
        checks.check_functions_take_few_parameters,
        "f: 8 parameters",
    ),
    (
        both(
            write(f"{SOURCE}/dbke/settings.py", ""),
            lambda toy: toy.notebook("01_dbke", PARAMS_CELL, CODE),
        ),
        settings_read,
        "01_dbke.ipynb: articles: no code reads this setting",
    ),
    (
        both(
            write(f"{SOURCE}/dbke/settings.py", ""),
            lambda toy: toy.notebook("01_dbke", PARAMS_CELL, CODE),
        ),
        repeated,
        '01_dbke.ipynb: the parameters cell must be:\nstudy: str = "mini_camel"  # params folder',
    ),
    (cells("from clinical_camel import eval_fewshot"), layer, "may not import eval_fewshot"),
    (cells("import clinical_camel.stats"), layer, "may not import stats"),
    (code("f(trust_remote_code=True)"), source, "trust_remote_code"),
    (cells("import subprocess; subprocess.run('ls', shell=True)"), source, "shell=True"),
    (write("params/big/note.md", f"see {HOME}"), machine_paths, "names a place"),
    (with_output(data={"text/plain": HOME}), machine_paths, "01_first.ipynb: names a place"),
    (swap(RESULT, '"execution_count": 2', '"execution_count": 3'), whole, "in order"),
    (swap(RESULT, '"papermill"', '"widgets": {}, "papermill"'), whole, "widgets"),
    (with_output(data={"image/png": "x"}), whole, "image/png without alt text"),
    (with_output(data={"text/plain": "x\n" * 81}), whole, "output of 81 lines"),
    (with_output(data={"text/html": "<tr></tr>" * 82}), whole, "output of 82 lines"),
    (with_output(text=["x\n"] * 81), whole, "output of 81 lines"),
    (with_output(output_type="error", ename="E"), whole, "an error output: E"),
    (swap(RECORD, "false", "true"), whole, "the tree was not clean"),
    (swap(RECORD, COMMIT, ""), whole, "no commit is recorded"),
    (swap(RECORD, "complete", "running"), whole, "run.json says running"),
    (delete(RECORD), whole, "no run.json is committed"),
    (swap("params/big/01_first.yaml", "0", "1"), traceable, "other parameters"),
    (swap(RECORD, '"seed": 0', '"seed": 1'), traceable, "other parameters"),
    (cells("print(seed + 1)"), traceable, "other code cells"),
    (
        write("outputs/big/01_first/scores.csv", "accuracy\n0.99\n"),
        traceable,
        "is not the file that",
    ),
    (write("outputs/big/01_first/more.csv", "a\n"), traceable, "more.csv is not the file that"),
    (swap(RESULT, "11-28T10:00:00", "11-28T10:00:45"), traceable, "of another run"),
    (swap(RESULT, '"seed": 0}', '"seed": 1}'), traceable, "than its run.json says"),
    (write(f"{SOURCE}/mini/exam.jsonl", "[]"), traceable, "a shipped text has changed"),
    (swap(f"{SOURCE}/mini/build.json", "ab", "cd"), traceable, "its base model has changed"),
    (
        swap(RECORD, '"notes"', '"inputs": {"outputs/big/01_first/scores.csv": "0"}, "notes"'),
        traceable,
        "its input outputs/big/01_first/scores.csv was made again",
    ),
    (note("see [the table](../tables/x.csv)"), results.check_links_of_notebooks, "link to nothing"),
    (write("outputs/STALE.md", STALE), traceable, "in step; delete its line"),
    (
        write("outputs/STALE.md", STALE.replace("big", "gone")),
        traceable,
        "in outputs/STALE.md, but absent",
    ),
    (write("outputs/STALE.md", "- big/01_first: later\n"), traceable, "a line is not"),
    (both(delete(RESULT), swap(RECORD, '"seed": 0', '"seed": 1')), traceable, "other parameters"),
    (both(delete(RESULT), cells("print(seed + 1)")), traceable, "other code cells"),
    (both(delete(RESULT), swap(RECORD, "false", "true")), whole, "the tree was not clean"),
    (delete("environment.yml"), pins, "environment.yml: missing"),
    (swap("environment.yml", "2.13.0", "2.12.0"), pins, "torch: 2.12.0, the lock"),
    (swap("environment.yml", "  - torch==2.13.0\n", ""), pins, "torch: missing"),
    (swap("environment.yml", "python=3.11", "python"), pins, "python is not pinned"),
    (
        quote(6, "outputs/big/01_first/texts.csv"),
        few,
        "outputs/big/01_first/texts.csv: 6 items of exam.jsonl, more than 5; keep it out of git",
    ),
    (quote(9, "outputs/big/01_first/rows.jsonl"), few, "rows.jsonl: 9 items of exam.jsonl"),
    (
        both(
            quote(0, "outputs/big/01_first/none.csv"),
            with_output(
                text="\n".join(
                    f"Which drug does patient {n} need in ward {n}?"
                    for n in ["one", "two", "three", "four", "five", "six", "seven"]
                )
            ),
        ),
        few,
        "outputs/big/01_first.ipynb: 7 items of exam.jsonl",
    ),
    (
        with_source("pubmedqa@data/public/pubmedqa/x.jsonl"),
        authors,
        "big/01_first: no attribution of pubmedqa; display format_attributions",
    ),
    (
        write("src/clinical_camel/data/x.csv", "a\n"),
        checks.check_data_files_are_packaged,
        "package-data lacks data/x.csv",
    ),
    (swap("environment.yml", "-e .", "numpy==2.4.6"), pins, "last pip line"),
    (swap("pyproject.toml", "9.2.0", "9.1.0"), pins, "pyproject.toml: pytest: 9.1.0"),
    (swap("pyproject.toml", "torch==", "torch>="), pins, "pyproject.toml: torch"),
    (swap("requirements.lock", "numpy==2.4.6", "numpy"), pins, "numpy: no exact version"),
    (
        write("requirements.lock", LOCK + "nvidia-cublas-cu12==12.1\n"),
        pins,
        "requirements.lock: nvidia-cublas-cu12",
    ),
    (
        swap("requirements.lock", "2.4.6", "2.4.6 --hash=sha256:ab"),
        pins,
        "requirements.lock: hashes",
    ),
    (
        write(f"{SOURCE}/release/colab.py", ""),
        setup_cells.check_notebooks_have_the_setup_cell,
        "01_first.ipynb: the second cell is not the set-up cell",
    ),
]


@pytest.mark.parametrize(
    ("change", "check", "message"),
    BROKEN,
    ids=[f"{check.__name__} {message}" for _, check, message in BROKEN],
)
def test_a_check_sees_what_it_is_for(change, check, message, toy):
    change(toy)
    problems = "\n".join(check(toy.root))
    assert message in problems


def test_the_set_up_cell_is_written_once_and_leaves_a_result_in_step(toy):
    toy.file(f"{SOURCE}/release/colab.py", "")
    setup_cells.write_setup_cells(toy.root)
    setup_cells.write_setup_cells(toy.root)
    cells = json.loads((toy.root / "notebooks/01_first.ipynb").read_text())["cells"]
    assert [cell["metadata"].get("tags", []) for cell in cells][:3] == [
        [],
        ["setup"],
        ["parameters"],
    ]
    for check in CHECKS:
        if check.__name__ != "check_one_stem_per_step":  # the toy's docstring lists no `release`
            assert list(check(toy.root)) == []


def test_a_badge_opens_the_notebook_on_colab_if_the_repository_has_an_address(toy):
    toy.file(f"{SOURCE}/release/colab.py", "")
    setup_cells.write_setup_cells(toy.root)
    notebook, project = (toy.root / n for n in ("notebooks/01_first.ipynb", "pyproject.toml"))
    before, text = notebook.read_text(), project.read_text()
    address = '\n[project.urls]\nRepository = "https://github.com/owner/name"\n'
    project.write_text(text + address)
    problems = "\n".join(setup_cells.check_notebooks_have_the_setup_cell(toy.root))
    assert "01_first.ipynb: the badge of Colab is missing or another" in problems
    for _ in range(2):
        setup_cells.write_setup_cells(toy.root)
        assert list(setup_cells.check_notebooks_have_the_setup_cell(toy.root)) == []
        title, _, badge, *_ = json.loads(notebook.read_text())["cells"][0]["source"]
        assert title.startswith("# ")
        assert badge.endswith("/github/owner/name/blob/main/notebooks/01_first.ipynb)\n")
    project.write_text(text)
    setup_cells.write_setup_cells(toy.root)
    assert notebook.read_text() == before


def test_a_stale_result_is_legal_once_it_is_listed(toy):
    cells("print(seed + 1)")(toy)
    results.write_stale_list(toy.root)
    assert list(results.check_results_are_traceable(toy.root)) == []
    toy.notebook("01_first", PARAMS_CELL, CODE)
    results.write_stale_list(toy.root)
    assert not (toy.root / "outputs/STALE.md").exists()


def test_a_stale_line_with_another_commit_is_not(toy):
    cells("print(seed + 1)")(toy)
    toy.file("outputs/STALE.md", STALE.replace(COMMIT[:7], "fedcba9"))
    assert "another commit" in "\n".join(results.check_results_are_traceable(toy.root))


def test_prose_and_layout_of_a_notebook_may_change_under_a_result(toy):
    toy.notebook("01_first", PARAMS_CELL, CODE.replace("seed)", "\n    seed,  # shown\n)"))
    assert list(results.check_results_are_traceable(toy.root)) == []


def test_folds_and_code_do_not_make_a_notebook_long(toy):
    words = "word " * prose.MAX_WORDS
    note(f"<details><summary>More</summary>\n\n{words}\n\n</details>\n\n```\n{words}\n```")(toy)
    assert list(prose.check_notebooks_are_short(toy.root)) == []


def test_an_answer_to_each_question_is_enough(toy):
    note(f"## What to notice\n\n1. Is it?\n\n{ONE_ANSWER}\n\n## Next\n\n- no question")(toy)
    assert list(prose.check_questions_have_answers(toy.root)) == []


def test_a_link_may_go_to_a_heading(toy):
    toy.file("docs/x.md", "# Is it `true`?\n")
    note("[x](../docs/x.md#is-it-true)")(toy)
    assert list(prose.check_links_reach_a_heading(toy.root)) == []


def test_only_what_git_tracks_counts_as_a_committed_result(toy):
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(toy.root)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    subprocess.run([*git, "init", "-q"], check=True, env=environment)
    assert results.list_notebooks(toy.root) == []
    subprocess.run([*git, "add", "outputs"], check=True, env=environment)
    assert [results.name_of(result) for result in results.list_notebooks(toy.root)] == [
        "big/01_first"
    ]
