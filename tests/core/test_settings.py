"""Typed settings: every pydantic error becomes a message with key, value and remedy."""

from collections.abc import Iterator
from typing import Annotated, Literal

import pytest
from pydantic import Field

from clinical_camel.core.settings import (
    Count,
    Float,
    Limit,
    Settings,
    SettingsError,
    Share,
    StepSettings,
    Text,
    changed_settings,
    parameters_cell,
    valid_by,
)


class Rules(Settings):
    kind: Literal["rules"] = "rules"


class Model(Settings):
    kind: Literal["model"] = "model"
    name: Text
    budget: Count = 10


def check_even(value: object) -> str:
    return "write an even number" if value == 3 else ""


class Toy(StepSettings):
    rate: Float = Field(2.0e-4, gt=0, le=1, description="peak rate")
    shots: list[Annotated[int, Field(ge=0, le=8)]] = Field([0], min_length=1, description="shots")
    shares: dict[Text, Share] = Field({"a": 1.0}, description="name: share")
    mode: Literal["", "fast"] = Field("", description="empty or fast")
    packing: bool = Field(False, description="pack rows")
    limit: Limit = Field(0, description="0 means all")
    even: Annotated[int, valid_by(check_even)] = Field(2, description="an even number")
    teacher: Annotated[Rules | Model, Field(discriminator="kind")] = Field(
        Rules(), description="kind: rules or model"
    )

    def check_together(self) -> Iterator[str]:
        if self.packing and self.limit:
            yield "packing: needs limit 0"
            yield "limit: needs packing false"


MODEL = {"kind": "model", "name": "m"}


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"rate": 1}, "rate: 1 is int, not float; write 1.0"),
        ({"shots": 5}, "shots: 5 is not a list; write [5]"),
        ({"shots": []}, "shots: is empty; name at least one"),
        (
            {"shots": [0, 9]},
            "shots[1]: 9 is not allowed; write a number that is 0 or more and at most 8",
        ),
        ({"shots": [True]}, "shots[0]: true is bool, not int; write a whole number"),
        ({"shots": [5, 5]}, "shots: 5 is listed twice; write it once"),
        ({"shares": []}, "shares: [] is not a mapping; write {name: value}"),
        (
            {"shares": {"a": 1.5}},
            "shares.a: 1.5 is not allowed; write a number that is 0 or more and at most 1",
        ),
        ({"shares": {"": 1.0}}, "shares (a key): is empty; write a name"),
        ({"shares": {1: 1.0}}, 'shares (a key): 1 is int, not str; write it in quotes, "1"'),
        ({"shares": {"/x": 1.0}}, 'shares (a key): "/x" is an absolute path; write it from the'),
        ({"mode": "slow"}, 'mode: "slow" is not one of "", fast'),
        ({"mode": " fast"}, 'mode: " fast" has white space at an end; write "fast"'),
        ({"study": ""}, "study: is empty; write a name"),
        ({"even": 3}, "even: write an even number"),
        ({"teacher": "rules"}, 'teacher: "rules" is not a mapping; write {kind: rules}'),
        ({"teacher": 3}, "teacher: 3 is not a mapping; write {kind: name, ...}"),
        ({"teacher": {"kind": "model"}}, "teacher.name: missing; kind model needs it"),
        ({"teacher": MODEL | {"name": ""}}, "teacher.name: is empty; write a name"),
        (
            {"teacher": MODEL | {"budget": 0}},
            "teacher.budget: 0 is not allowed; write a number that is 1 or more",
        ),
        (
            {"teacher": {"kind": "rules", "name": "m"}},
            "teacher.name: not a setting of kind rules; known: none",
        ),
    ],
)
def test_each_error_names_key_value_and_remedy(values, problem):
    (message,) = Toy.check(values)
    assert message.startswith(problem)


def test_all_problems_come_at_once_and_contradictions_only_alone():
    values = {"packing": True, "limit": 1}
    assert Toy.check(values) == ["packing: needs limit 0", "limit: needs packing false"]
    assert Toy.check(values | {"rate": 2.0, "mode": "x", "seed": "~/x"}) == [
        'seed: "~/x" is an absolute path; write it from the project\'s root, as in outputs/...',
        "rate: 2.0 is not allowed; write a number that is above 0 and at most 1 (peak rate)",
        'mode: "x" is not one of "", fast',
    ]


def test_a_complete_check_asks_for_every_setting():
    problems = Toy.check({"study": "toy"}, "notebooks/01_toy.ipynb", complete=True)
    assert problems[0] == "seed: missing; notebooks/01_toy.ipynb declares it"
    assert len(problems) == 9
    assert Toy.check({"seeds": 1}, "notebooks/01_toy.ipynb") == [
        "seeds: not a parameter of notebooks/01_toy.ipynb; did you mean seed?"
    ]


def test_required_settings_are_frozen_and_complete():
    settings = Toy.require({"teacher": MODEL})
    assert (settings.teacher.budget, settings.rate) == (10, 2.0e-4)
    with pytest.raises(ValueError, match="frozen"):
        settings.rate = 0.1
    with pytest.raises(SettingsError, match=r"^params: rate: 1 is int.*\nparams: mode: "):
        Toy.require({"rate": 1, "mode": "x"}, "params")


def test_the_parameters_cell_repeats_names_types_defaults_and_descriptions():
    assert parameters_cell(Toy).splitlines()[1:] == [
        "rate: float = 2.0e-4  # peak rate",
        "shots: list[int] = [0]  # shots",
        'shares: dict[str, float] = {"a": 1.0}  # name: share',
        'mode: str = ""  # empty or fast',
        "packing: bool = False  # pack rows",
        "limit: int = 0  # 0 means all",
        "even: int = 2  # an even number",
        'teacher: dict = {"kind": "rules"}  # kind: rules or model',
        "seed: int = 0  # fixes every random choice",
    ]


def test_a_setting_that_no_result_depends_on_is_no_change():
    before = {"seed": 0, "report_to": "none"}
    assert changed_settings(before, {"seed": 0, "report_to": "wandb", "save_minutes": 20.0}) == []
    assert changed_settings(before, {"seed": 1, "rate": 2}) == ["rate", "seed"]
    teacher = {"kind": "openai", "money_cap": 1.0}
    raised = {"teacher": teacher | {"money_cap": 5.0}}
    assert changed_settings({"teacher": teacher}, raised) == []
    assert changed_settings({"teacher": teacher}, {"teacher": {"kind": "local"}}) == ["teacher"]
