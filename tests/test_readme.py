"""README and docs: their numbers are those of the committed tables, and what they name exists."""

import json
import re
import shlex
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pandas as pd
import pytest
from tests.support.project import skip_if_rerun

from clinical_camel import (
    cli,
    dbke,
    eval_fewshot,
    eval_replies,
    loss_curves,
    note_synthesis,
    published,
    release,
    results,
    score_checks,
    sft_qlora,
)
from clinical_camel.dbke.settings import Extractive
from clinical_camel.eval_fewshot.protocols import PROTOCOLS
from clinical_camel.eval_replies import writing
from clinical_camel.eval_replies.diagnoses import OUTCOMES
from clinical_camel.eval_replies.parts import HELD_OUT, IN_TRAINING, NEW
from clinical_camel.note_synthesis.structure import STATUSES
from clinical_camel.release.study_table import FINDINGS_BEGIN, FINDINGS_END
from clinical_camel.sft_qlora.settings import SPEEDUPS
from clinical_camel.teachers.settings import TERMS, Local, OpenAI, Overlap, Replay

ROOT = Path(__file__).parents[1]
OUTPUTS = ROOT / "outputs"
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs/teaching").glob("*.md")),
    *(ROOT / folder / "README.md" for folder in ("benchmarks", "drills", "experiments")),
    ROOT / "benchmarks/PENDING.md",
    ROOT / "src/clinical_camel/mini/README.md",
]
STEPS = (
    dbke.Synthesis,
    sft_qlora.Recipe,
    eval_fewshot.Design,
    note_synthesis.NoteTask,
    eval_replies.EvalReplies,
    loss_curves.Curves,
    published.Published,
    results.Results,
    score_checks.ScoreChecks,
)
FOREIGN_OPTIONS = {  # of pip, pytest, ruff, Jupyter, Docker, accelerate, torchrun, Ray, vLLM, uv
    *("--index-url", "--no-deps", "--no-build-isolation", "--ip", "--allow-root"),
    *("--num_processes", "--nproc_per_node", "--head"),
    *("--rm", "--dist", "--check"),
    *("--image", "--disk", "--ssh", "--secret", "--data-center-id", "--env", "--gpu-id"),
    *("--key-file", "--name", "--network-volume-id", "--size"),
    *("--enable-lora", "--host", "--lora-modules", "--quantization", "--seed", "--python"),
    *("--default-chat-template-kwargs", "--gpu-memory-utilization", "--max-model-len"),
}
each_page = pytest.mark.parametrize(
    "page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix()
)


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def flat(name: str) -> str:
    """A page with every line break as a space."""
    return " ".join(read(name).split())


def section(name: str, heading: str) -> str:
    return read(name).split(f"\n## {heading}\n")[1].split("\n## ")[0]


def code_spans(name: str, header: str) -> list[str]:
    """The code spans in the first column of the table with this header."""
    rows = read(name).split(f"| {header} |")[1].split("\n\n")[0].splitlines()[2:]
    return [span for row in rows for span in re.findall(r"`([^`]+)`", row.split(" | ")[0])]


def rounded(value: float, digits: int = 1) -> str:
    """Half up, as a reader rounds: 0.0885 in a table is 8.9 %."""
    return str(Decimal(str(value)).quantize(Decimal(10) ** -digits, ROUND_HALF_UP))


def percent(share: float) -> str:
    return rounded(Decimal(str(share)) * 100)


def interval(row: pd.Series, show=percent) -> str:
    return f"[{show(row['low'])}, {show(row['high'])}]"


def one_row(table: Path, **values: object) -> pd.Series:
    rows = pd.read_csv(table)
    for column, value in values.items():
        rows = rows[rows[column] == value]
    assert len(rows) == 1, f"{table.name}: {len(rows)} rows with {values}"
    return rows.iloc[0]


# --------------------------------------------------------------------------- what we found


NAMED = "diagnosis named as in the visit"


def read_findings() -> str:
    return read("README.md").partition(FINDINGS_BEGIN)[2].partition(FINDINGS_END)[0]


def test_what_we_found_is_current():
    skip_if_rerun()
    assert read_findings().strip() == release.format_findings(), (
        "run: python -m clinical_camel readme"
    )


def test_nothing_is_typed_by_hand_between_heading_and_findings():
    before = section("README.md", "What we found").partition(FINDINGS_BEGIN)[0]
    assert not re.search(r"\d", before)


def test_notes_have_the_numbers_of_the_tables():
    """Read from the tables by other code than that which writes the findings."""
    skip_if_rerun()
    named = one_row(
        OUTPUTS / "mini_camel/04_note_synthesis/essentials.csv", item=NAMED, model="tuned"
    )
    assert f"tuned model {named['correct']} of {named['n']}" in read_findings()


def test_the_minutes_of_make_study_are_those_of_its_run_records():
    files = (OUTPUTS / "mini_camel").glob("[!.]*/run.json")
    minutes = sum(json.loads(file.read_text())["seconds"] for file in files) / 60
    assert "(5 to 10 minutes)" in read("README.md")
    assert 4.5 < minutes < 10.5


# ------------------------------------------------------------------------- numbers in docs


def test_the_questions_that_resemble_a_training_text_are_those_of_the_tables():
    shown = read("docs/exams.md").split("| study | texts |")[1].split("\n\n")[0]
    counts = [row.split("|")[-2].strip() for row in shown.splitlines()[2:]]
    overlaps = pd.read_csv(OUTPUTS / "dbke_effect/06_controlled_comparison/overlaps.csv")
    studies = ("mini_camel", "mini_camel_llm")
    files = [OUTPUTS / study / "09_score_checks/run.json" for study in studies]
    ours, both = (
        re.search(r"(\d+) of them resemble", json.loads(file.read_text())["headline"])[1]
        for file in files
    )
    file = OUTPUTS / "mini_camel_llm/01_dbke/exam_questions.csv"
    light = one_row(file, benchmark="mini_exam", kind="light edit")
    assert counts == [ours, str(overlaps["id"].nunique()), str(light["questions"]), both]


def test_the_table_of_controls_is_the_committed_one():
    table = OUTPUTS / "mini_camel_controls/03_eval_fewshot/scores.csv"
    for variant in ("as_given", "shuffled", "options_only", "none_of_the_above"):
        cells = []
        for model in ("tuned", "base"):
            row = one_row(table, variant=variant, protocol="option_text", model=model)
            cells.append(f"{percent(row['accuracy'])} {interval(row)}")
        assert f"| `{variant}` | {cells[0]} | {cells[1]} |" in read("docs/exams.md")
    assert row["n"] == 312


def test_the_protocols_range_over_pubmedqa_as_the_exams_page_says():
    scores = pd.read_csv(OUTPUTS / "mini_camel_protocols/03_eval_fewshot/scores.csv")
    rows = scores[scores["benchmark"] == "pubmedqa_test"]
    low, high, majority = rows["accuracy"].min(), rows["accuracy"].max(), rows["majority"].max()
    sentence = f"range from {low:.0%} to {high:.0%}; {majority:.0%} is what always".replace(
        "0% to", "0 to"
    )
    assert sentence.replace("%", " %") in flat("docs/exams.md")
    assert set(scores["n"]) == {100}


def test_the_measured_speeds_in_the_docs_are_those_of_the_tables():
    results = ROOT / "benchmarks/results"
    speeds = pd.read_csv(results / "eval_speed.csv").query("scorer != 'ours'")
    least = speeds.groupby("vocabulary")["cpu_ratio"].min().astype(int)
    text = flat("docs/exams.md")
    assert f"[{least[32000]} times less](" in text
    assert f"at a vocabulary of 32,000, and {least[1024]} times at 1,024" in text
    texts = {1024: "{} times the tokens", 8192: "At 8,192 it is {} times"}
    for vocabulary, text in texts.items():
        row = one_row(results / "sft_speed.csv", vocabulary=vocabulary, subject="ours")
        assert text.format(row["ratio"]) in flat("docs/recipes.md")
        assert f"{row['ratio_low']:.2f} to {row['ratio_high']:.2f})" in flat("docs/recipes.md")


def test_the_fault_drill_of_the_teacher_lost_nothing():
    rows = pd.read_csv(ROOT / "drills/results/teacher.csv")
    assert (rows[["lost", "paid_twice", "over_cap"]] == 0).all(axis=None)
    faults = set(rows["fault"]) - {"none", "SIGKILL", "random"}
    assert f"kills the teacher 50 times and makes the endpoint fail in {len(faults)} ways" in flat(
        "docs/teachers.md"
    )
    assert one_row(ROOT / "drills/results/teacher.csv", fault="SIGKILL")["message"].startswith(
        "50 k"
    )


def test_no_study_has_reproduced_a_published_value_yet():
    verdicts = [pd.read_csv(file)["verdict"] for file in OUTPUTS.glob("*/*/audit.csv")]
    assert set(pd.concat(verdicts)) == {"not run"}
    assert "All verdicts are *not run*" in flat("docs/exams.md")


# ----------------------------------------------------------------------- what is named exists


def test_the_readme_is_short_and_starts_with_the_banner():
    lines = read("README.md").splitlines()
    assert len(lines) <= 130
    assert "Research only: not for use in care." in lines[2]
    assert lines.index("<!-- studies:begin -->") < lines.index("<!-- studies:end -->")


def test_the_map_names_every_folder_and_nothing_else():
    places = [("README.md", "Map"), ("docs/running.md", "Changing the code")]
    tree = "\n".join(section(*place).split("```")[1] for place in places)
    top, named = "", set()
    for indent, names in re.findall(r"^( *)(\S+(?: \S+/(?= ))*)", tree, re.MULTILINE):
        top = top if indent else names
        named |= {f"{top}{name}" for name in names.split()} if indent else {names}
    missing = [name for name in named if not (ROOT / name).exists()]
    assert not missing
    package = ROOT / "src/clinical_camel"
    packages = {f"src/clinical_camel/{p.parent.name}/" for p in package.glob("*/__init__.py")}
    books = {f"notebooks/{book.name}" for book in (ROOT / "notebooks").glob("*.ipynb")}
    assert packages | books <= named


def test_the_files_and_settings_to_edit_exist():
    fields = {name for step in STEPS for name in step.model_fields}
    for span in re.findall(r"`([^`]+)`", section("docs/running.md", "What to edit")):
        if span.endswith(".yaml"):
            assert (ROOT / "params/mini_camel" / span).exists()
        elif "/" in span or span.endswith(".py"):
            places = [ROOT / span, ROOT / "src/clinical_camel" / span.replace("<step>", "dbke")]
            assert any(place.exists() for place in places), span
        elif span not in ("Source", "make test"):
            assert span in fields, span


def test_every_step_that_saves_its_progress_says_what_survives_a_kill():
    """Steps with a journal, a ledger or checkpoints; the other rows are for steps without."""
    rows = re.findall(r"(?m)^\| (\d\d) \|", section("docs/running.md", "What survives a kill?"))
    saving = re.compile(r"run\.(?:journal|persistent_file)\(|checkpoints")
    books = sorted((ROOT / "notebooks").glob("*.ipynb"))
    sources = {book.name[:2]: json.loads(book.read_bytes())["cells"] for book in books}
    code = {
        step: "".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
        for step, cells in sources.items()
    }
    assert rows == [step for step, text in code.items() if saving.search(text)]


def test_every_study_is_in_the_table_of_studies():
    listed = section("README.md", "Studies")
    for folder in (ROOT / "params").iterdir():
        assert f"](params/{folder.name})" in listed


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).lower().replace(" ", "-") for title in titles}


@each_page
def test_every_relative_link_exists(page):
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"https?:", target):
            continue
        name, _, anchor = target.partition("#")
        place = page.parent / name if name else page
        assert place.exists(), target
        assert not anchor or anchor in anchors(place), target


@each_page
def test_every_command_is_one_of_the_program(page):
    """`python -m clinical_camel ...` is parsed; a module or script that is run exists."""
    text = page.read_text(encoding="utf-8").replace("\\|", "|")
    for module, rest in re.findall(r"python -m ([\w.]+)([^`\n#]*)", text):
        if module == "clinical_camel":
            options, extra = cli._parser().parse_known_args(shlex.split(rest))
            assert not [text for text in extra if text.startswith("-")], rest
        elif module.split(".")[0] in ("clinical_camel", "benchmarks", "drills", "experiments"):
            file = module.replace(".", "/") + ".py"
            assert (ROOT / file).exists() or (ROOT / "src" / file).exists(), module
    sources = [ROOT / "src/clinical_camel/cli.py", *ROOT.glob("[bde]*/*.py")]
    programs = "".join(source.read_text(encoding="utf-8") for source in sources)
    for option in set(re.findall(r"(?<![\w-])--[a-z][\w-]+", text)) - FOREIGN_OPTIONS:
        assert f'"{option}"' in programs, option
    for script in re.findall(r"\| `(\w+\.py)` \|", text):
        assert (page.parent / script).exists(), script


@pytest.mark.parametrize(
    ("page", "header"),
    [
        ("docs/exams.md", "setting | what it changes"),
        ("docs/notes.md", "setting | what it changes"),
        ("docs/recipes.md", "setting | effect"),
        ("docs/replies.md", "setting | what it changes"),
    ],
)
def test_every_setting_in_a_table_exists(page, header):
    fields = {name for step in STEPS for name in step.model_fields}
    spans = [span.partition(":")[0] for span in code_spans(page, header)]
    assert spans
    assert set(spans) <= fields


def test_the_tables_of_values_are_complete():
    assert code_spans("docs/exams.md", "protocol | the model sees | what is scored") == [*PROTOCOLS]
    assert code_spans("docs/notes.md", "status | meaning") == [*STATUSES]
    assert code_spans("docs/recipes.md", "entry of `speedups` | what is skipped") == [*SPEEDUPS]
    assert code_spans("docs/replies.md", "status | meaning") == [*writing.STATUSES]
    assert code_spans("docs/replies.md", "outcome | meaning") == [*OUTCOMES]
    assert code_spans("docs/replies.md", "part | meaning") == [NEW, IN_TRAINING, HELD_OUT]
    assert code_spans("docs/teachers.md", "`terms` | meaning") == [*TERMS]
    for name, meaning in TERMS.items():
        assert f"| `{name}` | {meaning} |" in read("docs/teachers.md")


def test_the_glossary_is_sorted_and_has_each_term_once():
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", read("docs/glossary.md"), re.MULTILINE)
    terms = [term.casefold() for term in rows if term not in ("term", "---")]
    assert terms == sorted(set(terms))
    assert len(terms) >= 50


# -------------------------------------------------------------------- the settings of teachers

KINDS = (Extractive, Local, OpenAI, Replay, Overlap)


def settings_table() -> str:
    """The table of docs/teachers.md: one row per setting, equal ones of several kinds together."""
    rows: dict[tuple[str, str, str], list[str]] = {}
    for kind in KINDS:
        for name, field in kind.model_fields.items():
            if name == "kind":
                continue
            default = "required" if field.is_required() else json.dumps(field.default)
            label = kind.model_fields["kind"].default
            rows.setdefault((name, default, field.description), []).append(label)
    lines = ["| setting | kinds | default | meaning |", "| --- | --- | --- | --- |"]
    for (name, default, description), labels in rows.items():
        lines.append(f"| `{name}` | {', '.join(labels)} | {default} | {description} |")
    return "\n".join(lines)


def test_every_setting_of_every_teacher_is_listed():
    listed = read("docs/teachers.md").split("<!-- settings:begin -->\n")[1]
    listed = listed.split("\n<!-- settings:end -->")[0]
    assert listed == settings_table(), f"write this between the marks:\n{settings_table()}"
