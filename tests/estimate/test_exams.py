"""Tokens of step 03 before a run are those of the run."""

import pytest
from tests.support.project import Memory

from clinical_camel import eval_fewshot, models
from clinical_camel.estimate import exams
from clinical_camel.runner.jobs import load_job


def load_design(study="mini_camel", **changed):
    return load_job(study, "03_eval_fewshot").settings.model_copy(update=changed)


def test_scoring_is_counted_as_the_scorer_computes_it():
    design = load_design(
        adapters={"base": ""},
        benchmarks=["mini_exam"],
        question_limit=12,
        quantize="",
        protocols=["letter", "chat"],
    )
    llm = models.load("mini", {"base": ""})["base"]
    eval_fewshot.answer_all({"base": llm}, *eval_fewshot.load_exam(design), design, Memory())
    done = exams.count_scoring(design, llm.tokenizer, llm.max_length, sample=0)
    assert done.tokens == llm.counts["row_tokens"] + llm.counts["prefix_tokens"]
    assert done.logit_share * done.tokens == pytest.approx(llm.counts["head_rows"])
    assert done.rows == 12
    width = done.attended / done.tokens  # tokens before each, on average
    assert done.longest_row / 4 < width < done.longest_row


def test_only_the_protocols_that_fit_an_exam_and_its_articles_are_counted():
    changed = {"adapters": {"base": ""}, "question_limit": 6, "num_shots": [0], "exemplars": {}}
    changed |= {"protocols": ["option_text", "cloze"]}
    tokenizer = models.load_tokenizer("mini")

    def count(**more):
        return exams.count_scoring(load_design(**changed, **more), tokenizer, 4096).tokens

    both = count(benchmarks=["mini_exam", "mini_exam_cloze"])
    assert both == count(benchmarks=["mini_exam"]) + count(benchmarks=["mini_exam_cloze"])
    opened = {"variants": ["open_book"], "open_book": "mini_articles"}
    assert count(benchmarks=["mini_exam"], **opened) > 5 * count(benchmarks=["mini_exam"])


def test_a_sample_of_the_questions_is_close_and_marked_as_an_estimate():
    changed = {"protocols": ["letter"], "variants": ["as_given"]}
    design = load_design("mini_camel_controls", **changed)
    tokenizer = models.load_tokenizer("mini")
    complete = exams.count_scoring(design, tokenizer, 4096, sample=0)
    sampled = exams.count_scoring(design, tokenizer, 4096, sample=30)
    assert sampled.tokens == pytest.approx(complete.tokens, rel=0.1)
    assert sampled.estimates == ("mini_exam: estimated from 29 of 312 questions",)
    assert not complete.estimates


def test_a_benchmark_on_the_hub_has_its_published_size():
    changed = {"benchmarks": ["medqa_us"], "protocols": ["letter"], "num_shots": [0, 5]}
    done = exams.count_scoring(load_design(**changed), None, 4096)
    assert done.rows == 1273
    assert done.tokens == 2 * (2 * 1273 * 245 + 5 * 245)  # two models; the exemplars once
    assert done.attended == 2 * 1273 * 245 * (122.5 + (5 * 245 + 122.5))
