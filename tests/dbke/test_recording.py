"""Prompts leave as files; replies enter a ledger byte for byte and are never changed."""

import dataclasses
import json
import sqlite3

import pytest
from tests.support.project import Memory

from clinical_camel import dbke, teachers

WRITER = "a large language model"
GOOD = '{"messages": [{"role": "user", "content": "Ça va?"}]}\r\n\n'
TEACHER = {"kind": "local", "model": "mini", "terms": "own", "dialogue_attempts": 1}


def make_queries(**changes):
    settings = dbke.Synthesis.require(
        {"study": "x", "questions": [], "support": "linked", "dialogues_per_article": 1}
        | {"teacher": TEACHER, **changes}
    )
    plan = dbke.prepare(settings)
    return dict(list(dbke.list_queries(plan, settings, WRITER, "exam").items())[:3])


@pytest.fixture(scope="module")
def queries():
    return make_queries()


@pytest.fixture
def folder(tmp_path, queries):
    """An export of three prompts, the first with a reply."""
    teachers.export_requests(queries, tmp_path)
    (tmp_path / "replies/exam00.txt").write_bytes(GOOD.encode())
    return tmp_path


def read_rows(file, query="SELECT * FROM attempts JOIN replies ON id = attempt ORDER BY id"):
    db = sqlite3.connect(f"{file.as_uri()}?mode=ro&immutable=1", uri=True)
    db.row_factory = sqlite3.Row
    try:
        return db.execute(query).fetchall()
    finally:
        db.close()


def test_a_writer_sees_the_prompt_and_nothing_else(folder, queries):
    query = queries["exam00"]
    system, user = (message["content"] for message in query.messages)
    text = (folder / "requests/exam00.txt").read_text(encoding="utf-8")
    assert text == f"[system]\n\n{system}\n\n[user]\n\n{user}\n"
    assert json.loads((folder / "requests/exam00.json").read_text()) == {
        "id": query.request.id,
        "messages": query.messages,
    }


def test_a_reply_is_recorded_byte_for_byte_with_its_provenance(folder, queries, file):
    assert teachers.import_replies(queries, folder, file) == 1
    (row,) = read_rows(file)
    body = json.loads(row["body"])
    assert body["choices"][0]["message"]["content"].encode() == GOOD.encode()
    assert (body["model"], row["model"], row["status"]) == (WRITER, WRITER, 200)
    provenance = queries["exam00"].provenance
    for name in ("request", "article", "prompt"):
        assert row[name] == provenance[name]
    assert read_rows(file, "PRAGMA journal_mode")[0][0] == "delete"
    assert [f.name for f in file.parent.iterdir() if "-wal" in f.name] == []


def test_a_second_import_adds_only_what_is_new(folder, queries, file):
    teachers.import_replies(queries, folder, file)
    before = [tuple(row) for row in read_rows(file)]
    (folder / "replies/exam02.txt").write_bytes(b"I cannot help with that.")
    assert teachers.import_replies(queries, folder, file) == 1
    assert teachers.import_replies(queries, folder, file) == 0
    rows = [tuple(row) for row in read_rows(file)]
    assert (len(rows), rows[:1]) == (2, before)


def test_the_recorded_replies_are_a_teacher_that_says_who_wrote_them(folder, queries, project):
    ledger = project.root / "recorded.sqlite"
    for key in ("exam01", "exam02"):
        (folder / f"replies/{key}.txt").write_bytes(GOOD.encode())
    teachers.import_replies(queries, folder, ledger)
    replay = TEACHER | {"kind": "replay", "ledger": "recorded.sqlite"}
    del replay["model"]
    settings = dbke.Synthesis.require(
        {"study": "x", "questions": [], "support": "linked", "dialogues_per_article": 1}
        | {"teacher": replay}
    )
    plan = dbke.prepare(settings)
    _, rejected, replies = dbke.synthesise(plan.requests[:4], plan.teacher, Memory(), settings)
    assert list(rejected["reason"]) == [
        *["turns do not alternate between user and assistant"] * 3,
        "the recorded ledger has no reply to this prompt",
    ]
    assert [reply.dialogue.messages[0]["content"] for reply in replies] == ["Ça va?"] * 3
    described = plan.teacher.describe()
    assert (described["written_by"], described["replies"]) == (WRITER, 3)
    received = read_rows(ledger, "SELECT date(min(received), 'unixepoch') FROM replies")[0][0]
    assert described["recorded"].startswith(received)


def test_the_hash_of_the_prompts_depends_on_the_prompts_alone(folder, queries, project):
    def describe(name):
        teachers.import_replies(queries, folder, project.root / name)
        return dbke.load_teacher(dbke.Replay(ledger=name, terms="own")).describe()

    first = describe("a.sqlite")["prompts_sha256"]
    (folder / "replies/exam00.txt").write_bytes(b"another reply")
    assert describe("b.sqlite")["prompts_sha256"] == first
    (folder / "replies/exam01.txt").write_bytes(b"one more")
    assert describe("b.sqlite")["prompts_sha256"] != first


@pytest.mark.parametrize(
    ("path", "content", "problem"),
    [
        ("replies/exam00.txt", b" \n", "exam00.txt is empty"),
        ("replies/exam00.txt", b"\xff\xfe", "exam00.txt is not UTF-8"),
        ("replies/exam99.txt", b"hello", "exam99.txt answers no prompt of today's"),
        ("requests/exam00.json", b'{"id": "x", "messages": []}', "answers another prompt than to"),
    ],
)
def test_a_reply_to_another_prompt_or_none_is_refused_before_any_is_recorded(
    path, content, problem, folder, queries, file
):
    (folder / "replies/exam01.txt").write_bytes(GOOD.encode())
    (folder / path).write_bytes(content)
    with pytest.raises(ValueError, match=problem):
        teachers.import_replies(queries, folder, file)
    assert not file.exists()


def test_a_changed_prompt_is_refused_by_import_and_export(folder, file):
    changed = make_queries(exchanges_per_dialogue=3)
    with pytest.raises(ValueError, match=r"exam00.txt answers another prompt than today's"):
        teachers.import_replies(changed, folder, file)
    with pytest.raises(ValueError, match=r"exam00.json has another prompt than today's"):
        teachers.export_requests(changed, folder)


def test_a_recorded_reply_is_final(folder, queries, file):
    teachers.import_replies(queries, folder, file)
    (folder / "replies/exam00.txt").write_bytes(b"edited")
    with pytest.raises(ValueError, match=r"exam00.txt differs from the recorded reply"):
        teachers.import_replies(queries, folder, file)
    (row,) = read_rows(file)
    assert json.loads(row["body"])["choices"][0]["message"]["content"] == GOOD


def test_a_second_reply_to_one_prompt_is_recorded_but_not_replayed(folder, queries, project):
    twice = teachers.merge_queries(
        queries, {"dev00": queries["exam00"], "dev01": queries["exam02"]}
    )
    teachers.export_requests(twice, folder)
    (folder / "replies/dev00.txt").write_bytes(b"the second reply")
    ledger = project.root / "recorded.sqlite"
    assert teachers.import_replies(twice, folder, ledger) == 2
    assert teachers.import_replies(twice, folder, ledger) == 0
    teacher = dbke.load_teacher(dbke.Replay(ledger="recorded.sqlite", terms="own"))
    first = queries["exam00"]
    content = json.loads(teacher.fetch_reply(first, None)["raw"])["choices"][0]["message"]
    assert content["content"] == GOOD
    assert not teacher.has_reply(dataclasses.replace(first, round=1), None)
    described = teacher.describe()
    assert (described["replies"], described["prompts"]) == (2, 1)
