"""The shipped base model answers questions without an adapter."""

import math

from clinical_camel import data, models
from clinical_camel.exercises import base_model


def test_the_chosen_option_is_the_one_with_the_highest_likelihood():
    questions = data.load_questions("mini_exam_primer")[:3]
    texts, best = base_model.choose_options(questions)
    for question, text, value in zip(questions, texts, best, strict=True):
        tokenizer = base_model.load_base_model().tokenizer
        prompt = base_model.format_prompt(question)
        pairs = [models.tokenize_pair(tokenizer, prompt, f" {o}") for o in question.options]
        scores = base_model.score_pairs(pairs)
        assert question.options[scores.index(max(scores))] == text
        assert math.isclose(max(scores), value, abs_tol=1e-3)


def test_the_mean_loss_is_minus_the_mean_log_likelihood():
    tokenizer = base_model.load_base_model().tokenizer
    pair = models.tokenize_pair(tokenizer, "Question: What causes gout?\nAnswer:", " Crystals.")
    ids = [*pair.context, *pair.continuation]
    labels = [models.IGNORE_INDEX] * len(pair.context) + list(pair.continuation)
    loss = base_model.mean_loss(ids, labels)
    (score,) = base_model.score_pairs([pair])
    assert math.isclose(loss, -score / len(pair.continuation), abs_tol=1e-3)
