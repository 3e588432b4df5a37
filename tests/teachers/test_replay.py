"""A recorded ledger gives the same dialogues without a model and without a network."""

import json

import pytest
from tests.support.teacher_runs import DIALOGUE_ATTEMPTS, make_settings, plan_requests, run
from tests.support.toy_teacher import Server

from clinical_camel import data, dbke, teachers


def test_a_recorded_ledger_gives_the_same_dialogues_without_a_server(project, file):
    with Server("an invented sentence") as server:
        lesson = project.root / "lesson.sqlite"
        recorded, _, _ = run(lesson, 4, make_settings(server.base_url))
    replay = dbke.Replay(ledger="lesson.sqlite", terms="own", dialogue_attempts=DIALOGUE_ATTEMPTS)
    settings = dbke.Synthesis(teacher=replay, language="")
    teacher, ledger = dbke.load_teacher(replay), teachers.Ledger(file)
    outcomes = list(dbke.Synthesizer(teacher, ledger, settings).run(plan_requests(5)))
    accepted = [data.to_dict(o.result) for o in outcomes if o.result]
    assert [json.dumps(row, ensure_ascii=False) for row in accepted] == recorded
    assert outcomes[4].reason == "the recorded ledger has no reply to this prompt"


def test_a_missing_or_damaged_ledger_is_named(project):
    replay = dbke.Replay(ledger="my/lesson.sqlite", terms="own")
    with pytest.raises(ValueError, match=r"teacher.ledger: my/lesson.sqlite is not a file"):
        dbke.load_teacher(replay)
    ledger = teachers.Ledger(project.root / "my/lesson.sqlite")
    for number in range(100):
        ledger.append(str(number), {"raw": "x" * 3000})
    ledger.close()
    content = ledger.file.read_bytes()
    ledger.file.write_bytes(content[:40_960] + bytes(20_480) + content[61_440:])
    with pytest.raises(ValueError, match=r"teacher.ledger: my/lesson.sqlite is not a ledger \("):
        dbke.load_teacher(replay)
