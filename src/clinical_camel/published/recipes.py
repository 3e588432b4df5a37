"""The training recipes of all systems in one table, from their params files, with their marks.

Every value of a published system's 02_sft_qlora.yaml has a comment that begins with its mark: where
the value comes from.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence

import pandas as pd
import yaml

from clinical_camel import data
from clinical_camel.core.paths import root
from clinical_camel.exam_results.pages import hide_index
from clinical_camel.published.plans import Plan

MARKS = ("published", "reference", "recalled", "ours")  # docs/recipes.md says what they mean
ESTIMATED = "estimated"
FIELDS = {  # row of the table: setting of step 02
    "base": "model",
    "data": "mixture",
    "rank": "lora_rank",
    "targets": "lora_targets",
    "loss on": "loss_on",
    "length": "max_length",
    "epochs": "num_epochs",
    "rate": "learning_rate",
}
TOKENS = "tokens, all epochs"
ORDER = ["base", "data", TOKENS, *list(FIELDS)[2:]]
COLUMNS = ["study", "property", "value", "mark"]
_VALUE = r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|.*?)"""  # a # in quotes starts no comment
_LINE = re.compile(rf"^ *([^\s#][^#]*?): *{_VALUE}(?:\s+#\s*(.*))?$")


def tabulate_recipes(studies: Sequence[str], plans: Mapping[str, Plan]) -> pd.DataFrame:
    """Return each value of each recipe with its mark: COLUMNS; a row per dataset of the mixture.

    `plans`: `read_plans`, for the tokens.
    """
    rows = [[study, *row] for study in studies for row in read_recipe(study)]
    for study in studies:
        if study in plans:
            rows.append([study, TOKENS, f"{plans[study].training_tokens:,}", ESTIMATED])
    return pd.DataFrame(rows, columns=COLUMNS)


def read_recipe(study: str) -> Iterator[tuple[str, str, str]]:
    """Yield property, value and mark of a recipe; the mixture yields each of its datasets."""
    text = (root() / f"params/{study}/02_sft_qlora.yaml").read_text(encoding="utf-8")
    values, marks = yaml.safe_load(text), read_marks(text)
    for name, setting in FIELDS.items():
        if setting == "mixture":
            for spec, share in values[setting].items():
                label = data.label(spec) + (f" x {share:g}" if share != 1 else "")
                yield name, label, marks[spec]
        else:
            value = values[setting]
            shown = ", ".join(value) if isinstance(value, list) else value
            shown = f"{shown:g}" if isinstance(shown, float) else f"{shown}"
            yield name, shown, marks[setting]


def read_marks(text: str) -> dict[str, str]:
    """Return the mark of each key of a params file; "" for a line without one.

    In a file whose first comment says so, all values are ours.

    >>> read_marks("lora_rank: 64  # recalled; as in QLoRA\\nseed: 0  # ours\\nstudy: a")
    {'lora_rank': 'recalled', 'seed': 'ours', 'study': ''}
    """
    header = re.match(r"(#.*\n)*", text).group()
    default = "ours" if "All values ours" in header else ""
    marks = {}
    for line in text.splitlines():
        if match := _LINE.match(line):
            word = re.match(r"\w*", match[2] or "").group()
            marks[match[1]] = word if word in MARKS else default
    return marks


def format_recipes(recipes: pd.DataFrame) -> pd.DataFrame:
    """Return a row per property and a column per study; each cell names the mark of its values."""
    groups = recipes.groupby(["property", "study", "mark"], sort=False)["value"].agg(list)
    cells = [(*key[:2], f"{join_names(names)} ({key[2]})") for key, names in groups.items()]
    table = pd.DataFrame(cells, columns=["property", "study", "cell"])
    page = table.pivot_table("cell", "property", "study", aggfunc="; ".join, sort=False)
    studies = list(dict.fromkeys(recipes["study"]))
    page = page.reindex(index=ORDER, columns=studies).fillna("")
    return hide_index(page.rename_axis(columns=None).reset_index())


def join_names(names: Sequence[str]) -> str:
    """Return names in one text, a common start only once.

    >>> join_names(["meadow_a", "meadow_b", "meadow_c_d"]), join_names(["a", "b"])
    ('meadow: a, b, c_d', 'a, b')
    """
    start = os.path.commonprefix([*names]).rpartition("_")[0]
    if len(names) < 3 or not start:
        return ", ".join(names)
    return f"{start}: {', '.join(name.removeprefix(f'{start}_') for name in names)}"


def describe_marks(recipes: pd.DataFrame) -> str:
    """Return how many values of each recipe have each mark."""
    parts = []
    for study, rows in recipes[recipes["mark"] != ESTIMATED].groupby("study", sort=False):
        counts = rows["mark"].value_counts()
        shown = ", ".join(f"{counts[mark]} {mark}" for mark in MARKS if mark in counts)
        parts.append(f"`{study}` {shown}")
    return f"Of the values in the table: {'; '.join(parts)}."
