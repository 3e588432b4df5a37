"""The plan of step 01: the same requests for the notebook and for every worker."""

import pytest

from clinical_camel import data, dbke, models
from clinical_camel.core.settings import SettingsError
from clinical_camel.runner.jobs import load_job

SMALL = {"article_limits": {"mini_articles": 6}, "question_limit": 4}


def test_a_plan_has_the_limited_texts_their_sources_and_one_request_per_dialogue():
    plan = dbke.prepare(dbke.Synthesis(**SMALL))
    assert (len(plan.articles), len(plan.questions)) == (6, 4)
    assert [source["label"] for source in plan.sources] == ["mini_articles", "mini_exam_train"]
    assert [r.id for r in plan.requests] == [
        *(f"{article.id}/{i}" for article in plan.articles for i in range(5)),
        *(question.id for question in plan.questions),
    ]
    assert plan.teacher.describe()["terms"] == "no language model writes"


def test_exemplars_of_step_03_are_not_among_the_questions():
    exemplars = {q.id for q in data.load_training_questions("mini_exam_train", limit=5)}
    assert not exemplars & {q.id for q in dbke.prepare(dbke.Synthesis()).questions}


def test_a_restricted_source_and_a_remote_teacher_are_rejected():
    teacher = dbke.OpenAI(
        model="m", base_url="https://a.org/v1", terms="open", money_cap=1.0, token_cap=9
    )
    settings = dbke.Synthesis(**SMALL, teacher=teacher, licences={"mini_articles": "restricted"})
    with pytest.raises(ValueError, match="restricted and must not leave this machine"):
        dbke.prepare(settings)


def count_requests(model="mini", **context):
    teacher = dbke.Local(model=model, terms="own", **context)
    settings = dbke.Synthesis(**SMALL, teacher=teacher, dialogues_per_article=1)
    return len(dbke.prepare(settings).requests)


def test_a_model_on_this_machine_is_located_but_not_loaded(monkeypatch):
    monkeypatch.setattr(models, "load", lambda *_: pytest.fail("loaded"))
    assert count_requests() == 10
    with pytest.raises(ValueError, match="teacher.model: data/nowhere: no such folder"):
        count_requests("data/nowhere")


def test_a_long_article_is_split_for_a_short_context():
    assert count_requests(context=3000) > 10


def test_terms_that_the_student_breaks_are_refused_with_the_params_file():
    teacher = {"kind": "local", "terms": "llama2", "model": "mini"}
    settings = load_job("mini_camel", "01_dbke").params | {"teacher": teacher}
    with pytest.raises(SettingsError, match="teacher.terms: output of mini may improve Llama 2"):
        dbke.Synthesis.require(settings)
