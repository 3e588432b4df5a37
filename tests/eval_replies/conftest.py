"""Small cases, and replies to them by two models."""

import pandas as pd
import pytest

from clinical_camel import eval_replies, models
from clinical_camel.eval_replies import Case
from clinical_camel.eval_replies.settings import CONSULTATION, DIAGNOSIS, QUESTION
from clinical_camel.eval_replies.writing import COLUMNS


@pytest.fixture(scope="package")
def llm():
    return models.load("mini", {"base": ""})["base"]


@pytest.fixture
def make_case():
    def make(task=QUESTION, name="gout/cause", question="What causes gout?", **values) -> Case:
        messages = [{"role": "user", "content": question}]
        settings = {"corpus": "toy", "reference": "Crystals of uric acid."} | values
        group = settings.pop("group", name.partition("/")[0])
        return Case(task=task, id=name, group=group, messages=messages, **settings)

    return make


@pytest.fixture
def cases(make_case) -> list[Case]:
    """Two cases of each task, each in its own group."""
    rows = []
    for name in ("gout", "scabies"):
        rows.append(make_case(CONSULTATION, f"{name}/visit", "Is it bad?", reference="Not at all."))
        text = f"The diagnosis is {name}."
        rows.append(make_case(DIAGNOSIS, f"{name}/record", f"Sign of {name}?", reference=text))
        rows.append(make_case(QUESTION, f"{name}/cause", f"What causes {name}?"))
    return rows


@pytest.fixture
def make_replies():
    def make(cases, **texts) -> pd.DataFrame:
        """One reply per case and model; a text may hold {name}, the group of the case."""
        rows = [
            [case.task, case.corpus, case.id, case.group, case.part, model, "ok", 0, text]
            for model, pattern in texts.items()
            for case in cases
            for text in [pattern.format(name=case.group)]
        ]
        return pd.DataFrame(rows, columns=COLUMNS)

    return make


@pytest.fixture
def table(cases) -> pd.DataFrame:
    return eval_replies.tabulate_cases(cases)
