"""What came out of step 01: enough dialogues or not, and sentences that agree with the tables."""

import pandas as pd
import pytest
from tests.support.toy_dbke import (
    QUESTION,
    UNSUPPORTED_QUESTION,
    ScriptedTeacher,
    plan_requests,
    synthesise,
)

from clinical_camel import dbke
from clinical_camel.data import Dialogue
from clinical_camel.dbke import checks, filters
from clinical_camel.dbke.synthesis import REJECTED

COUNTS = ("source", "requested", "accepted", "rejected")


def make_outcome(accepted: int, reasons: list[str], source: str = "article"):
    """So many accepted dialogues, and rejected ones with these reasons."""
    dialogues = [Dialogue(id=f"a{i}", source=source, messages=[]) for i in range(accepted)]
    rows = [(f"r{i}", source, reason) for i, reason in enumerate(reasons)]
    return dialogues, pd.DataFrame(rows, columns=REJECTED)


@pytest.mark.parametrize(
    ("accepted", "reasons", "problem"),
    [
        (8, [], ""),
        (4, ["a turn is empty"] * 4, ""),
        (3, ["a turn is empty"] * 5, "only 3 of 8 dialogues (source: article) were accepted; the "
         "most frequent reason (5 of 5): a turn is empty"),
        (0, ["a turn is empty"] * 2 + ['not in the source: "A."', 'not in the source: "B."'] * 3,
         "no dialogue was accepted, of 8 requested; the most frequent reason (6 of 8): not in the"
         " source"),
    ],
)  # fmt: skip
def test_less_than_half_of_the_dialogues_is_a_problem(accepted, reasons, problem):
    requests = plan_requests(dialogues=8)
    problems = dbke.check_yield(*make_outcome(accepted, reasons), requests)
    assert problems == ([problem] if problem else [])


def test_more_than_one_dialogue_in_a_hundred_without_a_reply_leaves_the_step_incomplete():
    reasons = ["no reply after 3 attempts: HTTP 503: x", "refused: HTTP 400: y"]
    (problem,) = dbke.check_yield(*make_outcome(6, reasons), plan_requests(dialogues=8))
    assert problem.startswith("1 of 8 dialogues got no reply from the teacher; run this again")
    assert dbke.check_yield(*make_outcome(98, reasons), plan_requests(dialogues=100)) == []


def test_the_smallest_share_of_accepted_dialogues_is_a_setting():
    outcome, requests = make_outcome(3, ["a turn is empty"] * 5), plan_requests(dialogues=8)
    assert dbke.check_yield(*outcome, requests, 0.375) == []
    assert dbke.check_yield(*outcome, requests, 0.38) != []
    assert dbke.check_yield(*make_outcome(0, ["a turn is empty"] * 8), requests, 0.01) != []
    assert dbke.check_yield(*make_outcome(0, ["a turn is empty"] * 8), requests, 0.0) == []


def test_a_question_without_a_passage_does_not_count_as_requested():
    requests = plan_requests([QUESTION, UNSUPPORTED_QUESTION], dialogues=0)
    dialogues, rejected = synthesise(requests)
    assert (len(dialogues), len(rejected)) == (1, 1)
    assert dbke.check_yield(dialogues, rejected, requests) == []
    (problem,) = dbke.check_yield([], rejected, requests)
    assert problem.startswith("no dialogue was accepted, of 2 requested")


def test_each_source_needs_half_of_its_dialogues():
    requests = plan_requests([QUESTION], dialogues=1)
    exam = [Dialogue(id="q1", source="exam", messages=[])]
    (problem,) = dbke.check_yield(exam, pd.DataFrame(columns=REJECTED), requests)
    assert problem == "only 0 of 1 dialogues (source: article) were accepted"


def describe(dialogues, rejected, requests, **settings):
    chosen = dbke.Synthesis(language="", **settings)
    table = dbke.tabulate_dialogues(dialogues)
    by_id = {request.id: request for request in requests}
    return dbke.describe_dialogues(
        dbke.ExtractiveTeacher(),
        dbke.summarise(table, rejected, requests),
        rejected,
        dbke.tabulate_support(dialogues, requests),
        dbke.tabulate_planted(dialogues, by_id, chosen),
    )


def test_the_sentences_are_those_of_the_tables():
    requests = plan_requests([QUESTION], dialogues=1)
    dialogues, rejected = synthesise(requests)
    sentences = sum(len(checks.list_claims(d, r)) for d, r in zip(dialogues, requests, strict=True))
    first, *_, copied, teacher, planted = describe(dialogues, rejected, requests)
    assert first == "**2 of 2 requested dialogues passed all checks**: none was rejected."
    assert copied.startswith(f"All {sentences} checked assistant sentences appear in their source")
    assert "it cannot invent" in teacher
    assert planted.startswith("Planted errors, one of each kind: the `verbatim` check rejects 1 of")


def test_rejected_sentences_and_checks_that_miss_an_error_are_said():
    summary = pd.DataFrame(
        [("article", 4, 3, 1, 2.04, 30.4)],
        columns=[*COUNTS, "mean_exchanges", "mean_assistant_words"],
    )
    _, rejected = make_outcome(3, ["a turn is empty"])
    support = pd.DataFrame(
        [("accepted", "verbatim", 9, 2), ("accepted", "linked", 9, 1)]
        + [("all", "verbatim", 12, 5), ("all", "linked", 12, 3)],
        columns=["replies", "support", "sentences", "unsupported"],
    )
    planted = pd.DataFrame(
        [("changed number", "no", "no"), ("removed negation", "no", "")],
        columns=["error", "verbatim", "linked"],
    )
    teacher = ScriptedTeacher("")
    teacher.prompted = True  # a language model, which may invent: nothing is said about copying
    assert dbke.describe_dialogues(teacher, summary, rejected, support, planted) == [
        "**3 of 4 requested dialogues passed all checks**: 75.0%, 95 % interval [30.1%, 95.4%]; the"
        " most frequent reason (1 of 1): a turn is empty.",
        "An article dialogue has 2.0 exchanges on average, with 30 words of the assistant.",
        "Of 9 checked assistant sentences of accepted dialogues, 2 do not appear in their source"
        " word for word, and 1 are not supported by their source according to the `linked` check.",
        "**Of 12 checked sentences in all replies, accepted or rejected, 3 (25.0% [8.9%, 53.2%])"
        " are not supported by their source** according to the `linked` check; 5 (41.7% [19.3%,"
        " 68.0%]) do not appear in it word for word. The first count includes false alarms of the"
        " check, the second every reworded sentence.",
        "Planted errors, one of each kind: the `verbatim` check rejects 2 of 2, the `linked` check"
        " rejects 1 of 2 (it accepts: removed negation). Any changed sentence fails the `verbatim`"
        " check. For `linked`, these are examples, not a rate; "
        "`benchmarks/results/grounding.csv` has the rates.",
    ]


def test_the_writer_of_recorded_replies_is_named():
    teacher, requests = ScriptedTeacher(""), plan_requests(dialogues=1)
    teacher.describe = lambda: {"written_by": "a large language model"}
    dialogues, rejected = synthesise(requests)
    summary = dbke.summarise(dbke.tabulate_dialogues(dialogues), rejected, requests)
    support = dbke.tabulate_support(dialogues, requests)
    planted = pd.DataFrame(columns=["error", "verbatim", "linked"])
    texts = dbke.describe_dialogues(teacher, summary, rejected, support, planted)
    assert texts[1] == (
        "Recorded replies are the teacher. They were written by: a large language model."
    )


@pytest.mark.parametrize(
    ("rows", "sentences"),
    [
        ([], []),  # a study without an exam
        ([("mine", 9, "question", 0, 0, 0)],
         ["No question of an evaluation set resembles a dialogue."]),
        ([("mine", 9, "question", 1, 2, 2), ("mine", 9, "light edit", 3, 4, 0)],
         ["Questions that resemble a part of a dialogue: 1 of 9 questions of `mine` (question in 2 "
          "dialogues, 2 of them rejected); 3 of 9 questions of `mine` (light edit in 4 dialogues, "
          "0 of them rejected)."]),
    ],
)  # fmt: skip
def test_exam_questions_that_resemble_dialogues_are_said(rows, sentences):
    assert dbke.describe_similar(pd.DataFrame(rows, columns=filters.COLUMNS)) == sentences


def test_no_dialogue_and_lost_replies_are_said():
    requests = plan_requests(dialogues=2)
    _, rejected = make_outcome(0, ["no reply after 3 attempts: HTTP 500: x"] * 2)
    (text,) = describe([], rejected, requests)
    assert text.startswith("No dialogue was accepted, of 2 requested; the most frequent reason (2")
    (lost,) = dbke.describe_lost(rejected, "mine")
    assert lost.startswith("2 dialogues got no reply.")
    assert "python -m clinical_camel run mine 01 --retry-failed" in lost
    assert dbke.describe_lost(rejected.iloc[:0], "mine") == []
