"""The primer: its conditions are invented, and its exam is about conditions that were trained."""

from clinical_camel import data
from clinical_camel.mini import build, material, primer


def test_no_condition_of_the_primer_has_the_name_of_a_real_one():
    real = {fact.condition.lower() for fact in material.read_facts()}
    invented = {fact.condition.lower() for fact in primer.invent_fixed_facts(build.SEED, 20_000)}
    assert real.isdisjoint(invented)


def test_the_primer_exam_is_about_conditions_that_the_base_model_was_trained_on():
    count = build.PHASES["recall"]["primer"]["fixed"]
    fixed = {fact.condition for fact in primer.invent_fixed_facts(build.SEED, count)}
    examined = {question.group for question in data.load_questions("mini_exam_primer")}
    assert len(examined) == build.EXAM_CONDITIONS
    assert examined <= fixed
