"""The primer: its conditions are invented, and its exam is about conditions that were trained."""

import pytest

from clinical_camel import data, models, sft_qlora
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


@pytest.fixture(scope="module")
def replay():
    return data.load_training_rows("mini_primer")


def name_conditions(text, facts):
    return {fact.condition for fact in facts if fact.condition in text}


def test_the_replay_rows_have_each_exam_condition_but_no_exam_question_on_it(replay):
    facts = primer.invent_fixed_facts(build.SEED, primer.REPLAYED)
    examined = {question.group for question in data.load_questions("mini_exam_primer")}
    texts, exams = replay[: 2 * len(facts)], replay[2 * len(facts) :]
    for fact, article, dialogue in zip(facts, texts[::2], texts[1::2], strict=True):
        assert article.title == fact.condition
        assert fact.condition in dialogue.messages[0]["content"]
        for value in fact.values.values():
            assert value.lower() in data.format_row(article).lower()
            assert value.lower() in data.format_row(dialogue).lower()
    assert examined <= {fact.condition for fact in facts}
    spoken = [row for row in exams if isinstance(row, data.Dialogue)]
    assert len(exams) == len(spoken) + primer.PLAIN_EXAMS == 70
    exam_questions = [row.messages[0]["content"].partition("\n")[0] for row in spoken]
    exam_questions += [
        line for row in exams[len(spoken) :] for line in data.format_row(row).split("\n")[::3]
    ]
    assert all(question.endswith("?") for question in exam_questions)
    assert not any(name_conditions(question, facts) & examined for question in exam_questions)
    overlaps = data.search_sources({"x": data.load_questions("mini_exam_primer")}, {"y": replay})
    assert set(overlaps["kind"]) == {"light edit"}  # two questions of one wording


def test_the_replay_rows_are_of_the_forms_that_the_base_model_has_read(replay):
    tokenizer = models.load_tokenizer("mini")
    plain = [row for row in replay if row.id.startswith("primer-exam")]
    for row in plain:
        blocks = data.format_row(row).split("\n\n")
        assert len(blocks) == primer.EXAMPLES
        for block in blocks:
            question, answer = block.split("\n")
            assert question.startswith("Question: ")
            assert answer.startswith("Answer: ")
    tokenized = sft_qlora.tokenize_mixture(tokenizer, {"mini_primer": replay}, "assistant", 1024)
    assert len(tokenized.rows) == len(replay) == 230
    groups = tokenized.groups
    assert groups[0] == groups[1] == "primer-00"
    conditions = {group for group in groups if not group.startswith("primer-exam")}
    assert len(conditions) == primer.REPLAYED


def test_the_shares_of_replay_in_the_documentation_are_those_of_the_rows(replay):
    """docs/teachers.md: in the mixture of mini_camel, 1.0 is 30 % of the rows and 0.26 is 10 %."""
    others = len(data.load_dialogues("mini_chat")) + 5 * len(data.load_articles("mini_articles"))
    others += len(data.load_training_questions("mini_exam_train", skip=5))
    for share, percent in ((1.0, 30), (0.26, 10)):
        rows = len(data.load_training_rows("mini_primer", share))
        assert round(100 * rows / (rows + others)) == percent
