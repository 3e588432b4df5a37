"""The procedure of step 01 before the first request, for the notebook and for every worker."""

from dataclasses import dataclass, replace
from typing import Any

from clinical_camel import data
from clinical_camel.data import Article, Question
from clinical_camel.dbke.licences import fill_licences, require_terms
from clinical_camel.dbke.registry import load_teacher
from clinical_camel.dbke.requests import Request, plan_requests
from clinical_camel.dbke.settings import Synthesis, count_article_tokens
from clinical_camel.teachers.injection import Withheld, withhold_sentences
from clinical_camel.teachers.teacher import Teacher


@dataclass(frozen=True, slots=True)
class Plan:
    """All requests in order, the texts that they use, and the teacher.

    `sources` describes each dataset spec: see `data.describe`. `withheld` are the sentences that
    the prompt-injection filter took out of the articles.
    """

    sources: list[dict[str, Any]]
    articles: list[Article]
    questions: list[Question]
    teacher: Teacher
    requests: list[Request]
    withheld: list[Withheld]


def prepare(settings: Synthesis) -> Plan:
    """Load the texts, check licences and terms, load the teacher and plan the requests.

    A model on this machine is loaded only for its first query. Raises ValueError if licences or
    terms do not permit the run, or if the teacher is not available.
    """
    teacher = load_teacher(settings.teacher, settings.seed)
    sources = {spec: data.describe(spec) for spec in [*settings.articles, *settings.questions]}
    articles = []
    for spec in settings.articles:
        label, licence = sources[spec]["label"], sources[spec]["licence"]
        rows = data.load_articles(spec, settings.article_limits.get(label, 0))
        articles += fill_licences(rows, label, licence, settings.licences)
    articles, withheld = withhold_sentences(articles)
    questions = [
        question
        for spec in settings.questions
        for question in data.load_training_questions(
            spec, settings.question_limit, skip=settings.exemplar_count
        )
    ]
    licences = [settings.licences.get(s["label"], s["licence"]) for s in sources.values()]
    licences += [article.licence for article in articles]
    require_terms(teacher, settings.student, licences)
    requests = plan_requests(
        articles,
        questions,
        settings.dialogues_per_article,
        settings.exchanges_per_dialogue,
        settings.seed,
        count_article_tokens(settings.teacher),
        settings.passages_per_question,
    )
    requests = [replace(r, task=settings.task) if r.article else r for r in requests]
    return Plan([*sources.values()], articles, questions, teacher, requests, withheld)
