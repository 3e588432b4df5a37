"""The recipes of all systems in one table, with the origin of each value."""

import pandas as pd
import pytest

from clinical_camel import published
from clinical_camel.core.paths import root
from clinical_camel.published.recipes import MARKS, ORDER, read_marks
from clinical_camel.published.settings import Published
from clinical_camel.runner.jobs import load_job


def tabulate() -> pd.DataFrame:
    return published.tabulate_recipes(Published().recipes, published.read_plans())


def test_every_value_of_every_recipe_has_a_mark():
    table = tabulate()
    assert set(table["mark"]) == {*MARKS, "estimated"}
    assert set(table["property"]) == set(ORDER)
    counts = table.drop_duplicates(["study", "property"]).groupby("study").size()
    assert set(counts) == {len(ORDER)}


def test_the_committed_table_is_that_of_the_recipes_of_today():
    settings = load_job("published", "10_published").settings
    table = published.tabulate_recipes(settings.recipes, published.read_plans())
    file = root() / "outputs/published/10_published/recipes.csv"
    assert file.read_text() == table.to_csv(index=False), "`python -m clinical_camel run published`"


def test_each_cell_names_the_mark_of_its_values():
    page = published.format_recipes(tabulate()).set_index("property")
    assert page.loc["rank", "clinical_camel_70b"] == "64 (recalled)"
    assert page.loc["length", "clinical_camel_70b"] == "4096 (published)"
    assert page.loc["rate", "mini_camel"] == "0.004 (ours)"
    assert page.loc["data", "clinmed_llama3_8b"].startswith("medical_meadow: medical_flashcards, ")
    assert list(page.columns) == Published().recipes
    assert page.loc["data", "medalpaca_7b"].count("(published)") == 1


def test_a_line_without_a_mark_has_none_unless_all_values_are_ours():
    lines = [
        "lora_rank: 8",
        "loss_on: all  # unclear",
        "mixture:",
        "  a/b.jsonl: 1.0  # recalled: x",
    ]
    marks = {"lora_rank": "", "loss_on": "", "mixture": "", "a/b.jsonl": "recalled"}
    assert read_marks("\n".join(lines)) == marks
    own = read_marks("\n".join(["# My study. All values ours.", *lines]))
    assert set(own.values()) == {"ours", "recalled"}


@pytest.mark.parametrize(
    ("line", "marks"),
    [
        ("rank: 64  # published", {"rank": "published"}),
        ("rank: 64 # published", {"rank": "published"}),
        ("rank: 64\t#published: Table 1", {"rank": "published"}),
        ("rank: 64# published", {"rank": ""}),  # for YAML, part of the value
        ('name: "a # ours"  # published', {"name": "published"}),
        ("name: 'a # ours' # published", {"name": "published"}),
        ('name: "a # ours"', {"name": ""}),
        ('name: "a \\" # ours"', {"name": ""}),
        ("# ours: all", {}),
    ],
)
def test_the_mark_of_a_line_is_the_first_word_of_its_comment(line, marks):
    assert read_marks(line) == marks


def test_the_marks_are_counted():
    assert "`mini_camel` 10 ours; " in published.describe_marks(tabulate())
