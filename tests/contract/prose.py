"""The prose of the notebooks: short, with an answer to every question, with links that arrive."""

import re
from pathlib import Path

from tests.contract.files import Problems, notebooks

from clinical_camel.runs.notebooks import read_cells

MAX_WORDS = 1000
FOLD = re.compile(r"<details>.*?</details>", re.DOTALL)
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
PICTURE = re.compile(r"!\[[^\]]*\]\([^)]*\)")
QUESTIONS = re.compile(r"What to notice(.*?)(?=^#|\Z)", re.DOTALL | re.MULTILINE)
ANSWERS = re.compile(r"<details><summary>Answers</summary>(.*?)</details>", re.DOTALL)
ITEM = re.compile(r"^(?:\d+\.|[-*]) ", re.MULTILINE)
ANCHORED = re.compile(r"\]\(([^)\s:#]+\.md)#([^)\s]+)\)")


def read_prose(notebook: Path) -> list[str]:
    """Return the markdown cells of a notebook, as text."""
    return [cell["source"] for cell in read_cells(notebook) if cell["cell_type"] == "markdown"]


def count_words(text: str) -> int:
    """Count the words that a reader sees: no folds, fenced code, pictures or bare marks."""
    visible = PICTURE.sub("", FENCE.sub("", FOLD.sub("", text)))
    return sum(any(map(str.isalnum, word)) for word in visible.split())


def check_notebooks_are_short(root: Path) -> Problems:
    """What is explained at length belongs into docs/, or into a fold."""
    for notebook in notebooks(root):
        words = sum(map(count_words, read_prose(notebook)))
        if words > MAX_WORDS:
            yield f"{notebook.name}: {words:,} words of visible prose, more than {MAX_WORDS:,}"


def check_questions_have_answers(root: Path) -> Problems:
    """Under "What to notice" there is a fold with a numbered answer to each question."""
    for notebook in notebooks(root):
        for text in read_prose(notebook):
            for section in QUESTIONS.findall(text):
                questions = len(ITEM.findall(FOLD.sub("", section)))
                answers = sum(len(ITEM.findall(fold)) for fold in ANSWERS.findall(section))
                if not questions or questions != answers:
                    yield (
                        f"{notebook.name}: What to notice: questions: {questions}, answers in "
                        f"the fold: {answers}"
                    )


def check_links_reach_a_heading(root: Path) -> Problems:
    """A link of a notebook to a part of a page names one of its headings, as GitHub does."""
    for notebook in notebooks(root):
        for name, anchor in ANCHORED.findall("\n".join(read_prose(notebook))):
            page = notebook.parent / name
            text = page.read_text(encoding="utf-8") if page.exists() else ""
            titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", t).lower().replace(" ", "-") for t in titles}
            if anchor not in anchors:
                yield f"{notebook.name}: {name} has no heading {anchor}"
