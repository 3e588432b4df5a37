"""The task `paraphrase`: prompt, reply and checks, and the article that is saved of it."""

import json

import pytest
from tests.support.project import Memory
from tests.support.toy_dbke import ScriptedTeacher, plan_requests, synthesise, write_json

from clinical_camel import data, dbke, grounding, teachers
from clinical_camel.data import Article, Section
from clinical_camel.dbke import paraphrase, prompt
from clinical_camel.teachers.completions import build_completion, read_completion
from clinical_camel.teachers.rate_limits import MAX_IN_A_ROW, UnreadableReplies

TEXT = (
    "Gout is treated with naproxen 500 mg twice daily. Allopurinol prevents further attacks of"
    " gout. It is not given during an acute attack."
)
ARTICLE = Article(
    id="gout",
    title="gout",
    licence="CC0",
    sections=[
        Section(heading="Treatment", text=TEXT),
        Section(heading="", text="Kings had gout."),
        Section(heading="Empty", text=" "),
    ],
)
REWORDED = (
    "With naproxen, 500 mg twice daily, gout is treated. Further attacks of gout are prevented by"
    " allopurinol. During an acute attack, it is not given."
)
GOOD = [("Treatment", REWORDED), ("", "Gout was had by kings.")]


def write_reply(*sections):
    return json.dumps({"sections": [{"heading": h, "text": t} for h, t in sections]})


def make_request(**more):
    return dbke.Request(
        id="gout/0", article=ARTICLE, exchanges=3, seed=0, task="paraphrase", **more
    )


def run(reply):
    """Return the accepted paraphrase, or None, and the rejection reason, or ""."""
    teacher = ScriptedTeacher(reply)
    accepted, rejected = synthesise([make_request()], teacher, support="linked", min_exchanges=6)
    return (accepted or [None])[0], rejected["reason"][0] if len(rejected) else ""


def test_a_good_paraphrase_is_accepted_and_saved_as_an_article():
    row, reason = run(write_reply(*GOOD))
    assert reason == ""
    assert [m["content"] for m in row.messages[::2]] == ["Treatment", "gout"]
    (article,) = dbke.lay_out([row], [ARTICLE], "headings", 0)
    assert data.format_article(article) == (
        f"gout\n\nTreatment\n{REWORDED}\n\ngout\nGout was had by kings."
    )
    assert (article.group, article.licence) == ("gout", "CC0")
    (raw,) = dbke.lay_out([row], [ARTICLE], "raw", 0)
    assert data.format_article(raw).count("Allopurinol prevents further attacks") == 1


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (write_json("Hm?", TEXT), "reply is not a JSON paraphrase (KeyError)"),
        ("not json", "reply is not a JSON paraphrase"),
        (write_reply(GOOD[0]), "the headings are not those of the article"),
        (write_reply(GOOD[1], GOOD[0]), "the headings are not those of the article"),
        (write_reply(GOOD[0], ("", " ")), "a turn is empty"),
        (write_reply(("Treatment", "Kings had gout."), GOOD[1]), "shorter than 0.7 times"),
        (write_reply(("Treatment", f"{REWORDED} {REWORDED}"), GOOD[1]), "longer than 1.4 times"),
        (write_reply(("Treatment", TEXT), GOOD[1]), "more than 50% of the sentences are copied"),
        (
            write_reply(("Treatment", REWORDED.replace("500 mg", "50 mg")), GOOD[1]),
            "an assistant sentence is contradicted (dose)",
        ),
        (
            write_reply(("Treatment", REWORDED.replace("are prev", "are not prev")), GOOD[1]),
            "an assistant sentence is contradicted (medication)",
        ),
    ],
)
def test_a_reply_that_is_no_paraphrase_is_rejected_with_the_reason(reply, reason):
    row, rejection = run(reply)
    assert row is None
    assert reason in rejection


def test_a_copied_sentence_among_reworded_ones_is_accepted():
    assert run(write_reply(GOOD[0], ("gout", "Kings had gout.")))[1] == ""


def test_the_prompt_asks_for_a_paraphrase_of_the_length_that_the_check_accepts():
    system, user = (m["content"] for m in dbke.build_messages(make_request(variant=1)))
    assert system.startswith("You reword texts that are used to train a medical assistant.")
    words = len(TEXT.split()) + 3
    assert f"Write between {round(0.7 * words)} and {round(1.4 * words)} words." in user
    assert "This is version 2 of the text." in user
    assert '"sections"' in user
    assert "conversation" not in system + user
    assert prompt.find_code([{"content": system}]) in user
    retry = dbke.build_messages(make_request(), ["too long"])[1]["content"]
    assert retry.endswith(
        "attempts at this text were rejected. Reasons: too long. Avoid these problems."
    )
    assert prompt.repeats_prompt("So: " + " ".join(paraphrase.RULES[2].split()[4:12]))


def test_the_example_of_the_prompt_passes_the_check():
    """It is the paraphrase of an invented disease."""
    title, *parts = prompt.EXAMPLE_TEXT.split("\n\n")
    sections = [Section(heading=h[3:], text=t) for h, _, t in (p.partition("\n") for p in parts)]
    article = Article(id="ague", title=title, licence="CC0", sections=sections)
    request = dbke.Request(id="ague/0", article=article, exchanges=3, seed=0, task="paraphrase")
    teacher = ScriptedTeacher(json.dumps(paraphrase.EXAMPLE))
    accepted, rejected = synthesise([request], teacher, support="linked")
    assert len(accepted) == 1, rejected["reason"][0]


def test_a_good_paraphrase_is_not_counted_as_an_unreadable_reply():
    """Else 20 of them stop a paid run; for an exam question the same run writes a dialogue."""
    settings = dbke.Synthesis(
        **{"task": "paraphrase", "form": "headings", "support": "linked"},
        teacher={"kind": "local", "model": "mini", "terms": "own"},
    )
    synthesizer = dbke.Synthesizer(None, None, settings)
    unreadable, (other,) = UnreadableReplies(synthesizer), plan_requests(dialogues=1)
    good = build_completion(write_reply(*GOOD), complete=True)
    dialogue = build_completion(write_json("Hm?", TEXT), complete=True)
    for _ in range(MAX_IN_A_ROW):
        unreadable.count(good, make_request())
        unreadable.count(dialogue, other)
    for _ in range(MAX_IN_A_ROW - 1):
        unreadable.count(dialogue, make_request())
    with pytest.raises(teachers.TeacherStop, match="no paraphrase: reply is not a JSON paraphrase"):
        unreadable.count(dialogue, make_request())


def test_a_paraphrase_after_reasoning_or_a_draft_is_read():
    draft = write_reply(("Treatment", "Draft."))
    text = f"<think>Let me see {draft}</think> Here it is: {write_reply(*GOOD)}"
    dialogue, reason = dbke.parse_reply(
        read_completion(build_completion(text, complete=True))[0], make_request()
    )
    assert reason == ""
    assert dialogue.messages[1]["content"] == REWORDED


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"teacher": {"kind": "extractive"}}, "task: paraphrase needs a teacher of kind local"),
        ({"support": "verbatim"}, "support: a paraphrase copies no sentences; write linked"),
        ({"form": "qa"}, "form: with task paraphrase, write one of headings, monologue, raw"),
    ],
)
def test_settings_that_do_not_fit_a_paraphrase_are_named(changes, problem):
    teacher = {"kind": "local", "model": "mini", "terms": "own"}
    good = {"task": "paraphrase", "form": "headings", "support": "linked", "teacher": teacher}
    assert dbke.Synthesis.check(good) == []
    (message,) = dbke.Synthesis.check(good | changes)
    assert message.startswith(problem)


def test_only_articles_are_paraphrased(project):
    settings = dbke.Synthesis(
        task="paraphrase",
        form="headings",
        support="linked",
        teacher={"kind": "local", "model": "mini", "terms": "own"},
        article_limits={"mini_articles": 3},
        question_limit=2,
        dialogues_per_article=1,
    )
    tasks = [(r.source, r.task) for r in dbke.prepare(settings).requests]
    assert tasks == [("article", "paraphrase")] * 3 + [("exam", "dialogue")] * 2
    assert plan_requests()[0].task == "dialogue"


def test_recorded_paraphrases_are_replayed_and_saved(project):
    """Export, a writer's answers, import, replay: as `experiments.recorded_replies` does it."""
    values = {
        "study": "x",
        "questions": [],
        "task": "paraphrase",
        "form": "headings",
        "support": "linked",
        "article_limits": {"mini_articles": 3},
        "dialogues_per_article": 1,
    }
    writer = {"kind": "local", "model": "mini", "terms": "own", "dialogue_attempts": 1}
    settings = dbke.Synthesis.require(values | {"teacher": writer})
    queries = dbke.list_queries(dbke.prepare(settings), settings, "a writer", "para")
    folder, ledger = project.root / "export", project.root / "my/ledger.sqlite"
    teachers.export_requests(queries, folder)
    for key, query in queries.items():
        sections = [
            (s.heading, " ".join(f"In short, {t}" for t in grounding.split_sentences(s.text)))
            for s in query.request.article.sections
        ]
        (folder / f"replies/{key}.txt").write_text(write_reply(*sections), encoding="utf-8")
    assert teachers.import_replies(queries, folder, ledger) == 3

    teacher = {"kind": "replay", "ledger": "my/ledger.sqlite", "terms": "own"}
    replayed = dbke.Synthesis.require(values | {"teacher": teacher | {"dialogue_attempts": 1}})
    plan = dbke.prepare(replayed)
    accepted, rejected, _ = dbke.synthesise(plan.requests, plan.teacher, Memory(), replayed)
    assert rejected.empty
    rows = dbke.lay_out(accepted, plan.articles, replayed.form, 0)
    assert [row.title for row in rows] == [article.title for article in plan.articles]
    for row, article in zip(rows, plan.articles, strict=True):
        assert [s.heading for s in row.sections] == [s.heading for s in article.sections]
        assert all(s.text.startswith("In short, ") for s in row.sections)
        assert row.group == article.id
