"""The pages of the course: their tables are measured or estimated by the code, their terms used."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from clinical_camel import cli
from clinical_camel.exercises import sheets
from clinical_camel.runs.run_json import sum_seconds

ROOT = Path(__file__).parents[1]
TEACHING = ROOT / "docs/teaching"
MEASURED = ROOT / "benchmarks/results/exercise_times.csv"
PLANNED = ("h100_8b", "clinical_camel_70b")
NOT_MEASURED = "not measured"
MIB = 2**20 / 1e9  # in GB, as README.md gives memory
MINUTES, MEMORY = "5 to 10 minutes", "1.1 GB"
TASTE_RUNS, TASTE = (
    "`dbke_taste`: 4 trainings, the base, step 06",
    "9 minutes with `--jobs 2`, 1.0 GB",
)
MEASURED_STEPS = "`mini_camel`, steps 01 to 05 and 09"
REWARDS_STEPS, REWARDS = "`clinicalgpt_mini`, steps 02, 07 and 08", "26 minutes, 1.3 GB"


def read(name: str) -> str:
    return (TEACHING / name).read_text(encoding="utf-8")


def between(name: str, text: str) -> str:
    return text.split(f"<!-- {name}:begin -->\n")[1].split(f"\n<!-- {name}:end -->")[0]


def make_times_table() -> str:
    """Processor seconds of each exercise, wall seconds of the sheet, peak memory."""
    table = pd.read_csv(MEASURED)
    columns = ["sheet", *(f"exercise {i} (s)" for i in (1, 2, 3)), "all, by the clock (s)"]
    lines = [f"| {' | '.join([*columns, 'memory (GB)'])} |", "| --- " * 6 + "|"]
    for sheet, rows in table.groupby("sheet"):
        busy = rows.set_index("part")["processor_seconds"]
        cells = [busy["load"] + busy["exercise-1"], busy["exercise-2"], busy["exercise-3"]]
        texts = [f"{seconds:.1f}" for seconds in cells]
        wall, memory = rows["seconds"].sum(), rows["peak_mb"].max() / 1024
        lines.append(f"| {sheet} | {' | '.join(texts)} | {wall:.0f} | {memory:.1f} |")
    machine = f"{table['machine'][0]}, {table['cores'][0]} cores"
    least, most = table["load_average"].min(), table["load_average"].max()
    shared = f"shared with other work (load average {least:.0f} to {most:.0f})"
    lines += ["", f"Machine: {machine}, {'without other work' if most <= 1 else shared}."]
    return "\n".join([*lines, "The columns of the exercises are processor time."])


def plan(study: str, capsys) -> tuple[str, str]:
    """Hours and memory that `plan` estimates for an H100."""
    cli.main(["plan", study, "--machine", "h100"])
    total = re.search(r"^total +(.+)$", capsys.readouterr().out, re.MULTILINE)[1].split()
    return f"{float(total[-1]):.1f}", total[0]


def make_studies_table(capsys) -> str:
    none = NOT_MEASURED
    lines = [
        "| study | laptop | T4 | H100 | cost |",
        "| --- | --- | --- | --- | --- |",
        f"| {MEASURED_STEPS} | {MINUTES}, {MEMORY}, measured | {none} | {none} | 0 |",
        f"| {TASTE_RUNS} | {TASTE}, measured | {none} | {none} | 0 |",
        f"| {REWARDS_STEPS} | {REWARDS}, measured | {none} | {none} | 0 |",
        f"| `colab_t4`, steps 01 to 05 and 09 | {none} | {none} | {none} | {none} |",
    ]
    for study in PLANNED:
        hours, memory = plan(study, capsys)
        estimate = f"{hours} hours, {memory} GB, estimate"
        small = f"needs {memory} GB, has 16"
        cost = f"{hours} x price per hour"
        lines.append(f"| `{study}` | needs a GPU | {small} | {estimate} | {cost} |")
    return "\n".join(lines)


def read_records(study: str = "mini_camel") -> list[dict]:
    files = (ROOT / "outputs" / study).glob("[!.]*/run.json")
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]


def test_the_memory_of_a_laptop_is_measured():
    study = max(record["peak_memory_mb"] for record in read_records()) * MIB
    sheet = pd.read_csv(MEASURED)["peak_mb"].max() * MIB
    text = " ".join(read("README.md").split())
    assert f"needs {study:.1f} GB of memory and a sheet {sheet:.1f} GB (measured)" in text


def test_the_minutes_of_mini_camel_are_those_of_its_run_records():
    records = read_records()
    assert {record["step"][:2] for record in records} == {"01", "02", "03", "04", "05", "09"}
    least, most = (int(number) for number in re.findall(r"\d+", MINUTES))
    assert least - 0.5 < sum(record["seconds"] for record in records) / 60 < most + 0.5
    assert f"{max(r['peak_memory_mb'] for r in records) * MIB:.1f} GB" == MEMORY


def test_the_minutes_of_the_taste_are_those_of_its_run_records():
    """Two tasks at once, so half of the seconds; step 01 of the runs has no committed record."""
    files = (ROOT / "outputs/dbke_taste").glob("*/*/run.json")
    records = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    assert len(records) == 10
    minutes = sum(record["seconds"] for record in records) / 60 / 2
    assert minutes < int(TASTE.split()[0]) < minutes + 2
    assert f"{max(r['peak_memory_mb'] for r in records) * MIB:.1f} GB" in TASTE


def test_the_minutes_of_the_rewards_are_those_of_their_run_records():
    """In the table of the course and in running.md, which names the steps."""
    records = {record["step"][:2]: record for record in read_records("clinicalgpt_mini")}
    seconds = {step: sum_seconds(record) for step, record in records.items()}
    memory = f"{max(r['peak_memory_mb'] for r in records.values()) * MIB:.1f} GB"
    assert f"{sum(seconds.values()) / 60:.0f} minutes, {memory}" == REWARDS
    text = " ".join((ROOT / "docs/running.md").read_text(encoding="utf-8").split())
    assert f"(step 02, {seconds['02'] / 60:.0f} minutes)" in text
    assert f"(07, {seconds['07'] / 60:.0f} minutes)" in text
    assert seconds["08"] < 60
    assert f"(08, less than a minute). It needs {memory} of memory" in text


def test_the_minutes_of_the_exercises_are_the_measured_ones():
    shown = between("times", read("README.md"))
    assert shown == make_times_table(), f"write this between the marks:\n{make_times_table()}"


def test_every_measured_exercise_takes_less_than_two_minutes():
    table = pd.read_csv(MEASURED)
    assert list(table["sheet"].unique()) == [sheet.stem for sheet in sheets.list_sheets()]
    assert table["processor_seconds"].max() < 120


def test_the_minutes_of_the_studies_are_measured_or_estimated(capsys):
    expected = make_studies_table(capsys)
    shown = between("studies", read("README.md"))
    assert shown == expected, f"write this between the marks:\n{expected}"


def test_the_quiz_has_fourteen_questions_with_four_options_and_a_key():
    text, key = read("quiz.md").split("<details><summary>Key</summary>")
    questions = re.split(r"^\*\*\d+\. ", text, flags=re.MULTILINE)[1:]
    assert len(questions) == 14
    for question in questions:
        assert re.findall(r"^- ([a-d])\) ", question, re.MULTILINE) == [*"abcd"]
    rows = re.findall(r"^\| (\d+) \| ([a-d]) \| .+ \| (0[1-9]|10) \|$", key, re.MULTILINE)
    assert [int(number) for number, _, _ in rows] == [*range(1, 15)]
    assert {answer for _, answer, _ in rows} == {*"abcd"}
    assert {notebook for *_, notebook in rows} == {sheet.stem[:2] for sheet in sheets.list_sheets()}


def test_quiz_item_5_is_the_size_of_lora():
    assert f"a) {8 * 4096 + 4096 * 8:,}" in read("quiz.md")


def test_every_notebook_has_objectives_and_misreadings():
    stems = [sheet.stem for sheet in sheets.list_sheets()]
    section = read("README.md").split("\n## Objectives\n")[1].split("\n## ")[0]
    objectives = re.findall(r"^\| (\d\d) \| ", section, re.MULTILINE)
    assert objectives == [stem[:2] for stem in stems]
    parts = re.split(r"^## (\d\d) ", read("answers.md"), flags=re.MULTILINE)
    assert parts[1::2] == objectives
    for part in parts[2::2]:
        assert "| misreading | better |" in part


@pytest.mark.parametrize("name", ["README.md", "answers.md", "quiz.md"])
def test_every_page_says_research_only_and_its_licence(name):
    assert "Research only: not for use in care." in read(name)
    assert "CC BY 4.0" in read(name)


def read_glossary() -> dict[str, str]:
    text = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", text, re.MULTILINE)
    return {term: meaning for term, meaning in rows if term not in ("term", "---")}


def flatten(text: str) -> str:
    return " ".join(re.sub(r"[_\-*`]", " ", text).split()).casefold()


def read_all_texts() -> str:
    books = [*(ROOT / "notebooks").glob("*.ipynb"), *TEACHING.glob("*/*.ipynb")]
    cells = [c for book in books for c in json.loads(book.read_text(encoding="utf-8"))["cells"]]
    texts = ["".join(cell["source"]) for cell in cells]
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *TEACHING.glob("*.md")]
    pages += [ROOT / folder / "README.md" for folder in ("benchmarks", "experiments")]
    texts += [p.read_text(encoding="utf-8") for p in pages if p.name != "glossary.md"]
    return flatten("\n".join(texts))


def test_every_term_of_the_glossary_is_used():
    texts = read_all_texts()
    unused = [
        part
        for term in read_glossary()
        for part in re.split(r", | / ", re.sub(r" \(.*\)", "", term))
        if flatten(part) not in texts
    ]
    assert unused == []


def test_an_entry_of_the_glossary_has_at_most_two_sentences():
    for term, meaning in read_glossary().items():
        assert len(re.findall(r"[.!?](?:\s|$)", meaning)) <= 1, term
