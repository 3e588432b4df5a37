"""What a study would take, in words, and the table that has it."""

from dataclasses import replace

from clinical_camel import published
from clinical_camel.published.plans import Plan
from clinical_camel.published.settings import Published

PLAN = Plan("a", "h100", 2.9, False, 10, 0.0)


def test_an_unknown_size_and_a_paid_teacher_are_named():
    assert PLAN.describe(2.0) == "needs an H100, about 2.9 hours, about 6 dollars"
    unknown = replace(PLAN, is_minimum=True, machine="cpu", teacher_dollars=1000.0)
    text = "needs a CPU, at least 2.9 hours, at least 1,006 dollars with its teacher"
    assert unknown.describe(2.0) == text


def test_the_table_has_every_study_of_the_settings():
    settings = Published()
    assert set(published.read_plans()) == {*settings.systems.values(), *settings.recipes}
    assert all(plan.hours > 0 for plan in published.read_plans().values())
