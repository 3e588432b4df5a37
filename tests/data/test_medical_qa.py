"""Tests of data.medical_qa: cMedQA2 and MedDialog as their authors distribute them."""

import json

import pytest

from clinical_camel import data
from clinical_camel.data import medical_qa


@pytest.fixture
def cmedqa2(root):
    """A folder with the files of cMedQA2, of two questions to train on and one to test on."""
    questions = ["question_id,content", "1,头痛怎么办？", '2,"发烧，咳嗽"', "3,腹痛？"]
    answers = [
        "ans_id,question_id,content",
        "10,1,多休息。",
        "11,1,喝水。",
        "20,2,看医生。",
        "30,3,热敷。",
    ]
    train = ["question_id,pos_ans_id,neg_ans_id", "1,10,30", "1,11,30", "2,20,30"]
    test = ["question_id,ans_id,cnt,label", "3,30,0,1", "3,10,1,0"]
    texts = {"question.csv": questions, "answer.csv": answers, "train_candidates.txt": train}
    for name, lines in (texts | {"test_candidates.txt": test}).items():
        (root / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


def test_cmedqa2_joins_questions_and_answers_of_one_split(cmedqa2):
    rows = data.load_dialogues("cmedqa2@answer.csv")
    assert [row.id for row in rows] == ["1/10", "1/11", "2/20"]
    assert [message["content"] for message in rows[2].messages] == ["发烧，咳嗽", "看医生。"]
    (row,) = data.load_conversations("cmedqa2_test@answer.csv")
    assert row.id == "3/30"


def test_the_test_questions_of_cmedqa2_are_no_training_rows(cmedqa2):
    with pytest.raises(data.DataError, match="cmedqa2_test@answer.csv is an evaluation set"):
        data.load_dialogues("cmedqa2_test@answer.csv")
    (cmedqa2 / "train_candidates.txt").unlink()
    with pytest.raises(data.DataError, match=r"train_candidates\.txt is not in its folder"):
        data.load_dialogues("cmedqa2@answer.csv")


def test_an_answer_without_question_is_an_error_with_its_line(cmedqa2):
    (cmedqa2 / "question.csv").write_text("question_id,content\n1,头痛？\n", encoding="utf-8")
    with pytest.raises(data.DataError, match="line 4: question_id 2 is not in the questions"):
        data.load_dialogues("cmedqa2@answer.csv")


def test_a_label_of_another_form_is_an_error_with_its_line(cmedqa2):
    text = "question_id,ans_id,cnt,label\n3,30,0,1\n3,10,1,true\n"
    (cmedqa2 / "test_candidates.txt").write_text(text, encoding="utf-8")
    with pytest.raises(data.DataError, match='line 3: label is "true"; write 0 or 1'):
        data.load_conversations("cmedqa2_test@answer.csv")


@pytest.mark.parametrize(
    ("ids", "problem"),
    [
        ({}, "field ans_id is missing; write ans_id, answer_id or id"),
        ({"ans_id": 1.5}, "ans_id should be text or a whole number, is 1.5"),
        ({"ans_id": 1, "question_id": [2]}, r"question_id should be text .*, is \[2\]"),
    ],
)
def test_an_answer_needs_an_id(ids, problem):
    with pytest.raises(ValueError, match=problem):
        medical_qa.read_cmedqa2_row({"question": "Q?", "answer": "A."} | ids)


def test_the_number_zero_is_an_id():
    row = {"question": "Q?", "answer": "A.", "question_id": 0, "ans_id": 0}
    assert medical_qa.read_cmedqa2_row(row).id == "0/0"


def test_changed_questions_are_read_again(cmedqa2):
    data.load_dialogues("cmedqa2@answer.csv")
    file = cmedqa2 / "question.csv"
    file.write_text(file.read_text(encoding="utf-8").replace("头痛", "牙痛"), encoding="utf-8")
    assert data.load_dialogues("cmedqa2@answer.csv")[0].messages[0]["content"] == "牙痛怎么办？"


def test_the_copy_on_the_hub_spells_answer_another_way(hub):
    hub["", "train"] = [{"question": "Q?", "anwser": "A.", "question_id": 1, "answer_id": 10}]
    (row,) = data.load_dialogues("cmedqa2_instructions")
    assert (row.id, row.messages[1]["content"]) == ("1/10", "A.")


TURNS = ["Doctor: Hello.", "patient: I cough.", "patient: For a week.", "doctor: Since when?"]


@pytest.mark.parametrize(
    "content",
    [
        json.dumps([{"description": "cough", "utterances": [*TURNS, "patient: Thanks."]}]),
        json.dumps([[*TURNS, "patient: Thanks."]]),
        json.dumps({"utterances": TURNS}),
        json.dumps(
            {
                "dialogue_id": 3,
                "dialogue_turns": {
                    "speaker": [1, 0, 0, 1],
                    "utterance": ["Hello.", "I cough.", "For a week.", "Since when?"],
                },
            }
        ),
    ],
)
def test_every_form_of_meddialog_becomes_the_same_dialogue(root, content):
    (root / "english-train.json").write_text(content, encoding="utf-8")
    (row,) = data.load_dialogues("meddialog@english-train.json")
    assert row.messages == [
        {"role": "user", "content": "I cough.\nFor a week."},
        {"role": "assistant", "content": "Since when?"},
    ]
    assert row.id == "english-train-1"


def test_a_raw_file_of_meddialog_is_read_with_all_its_turns(root):
    text = """id=7
https://www.haodf.com/x
Description
疾病： 咳嗽
Dialogue
病人：
我咳嗽。
一个星期了。
医生：
吃药。
病人：
谢谢。

id=8
Description
x
Dialogue
病人：
发烧。
"""
    (root / "2020.txt").write_text(text, encoding="utf-8")
    with pytest.warns(UserWarning, match="1 rows without a reply are left out"):
        (row,) = data.load_dialogues("meddialog@2020.txt")
    assert row.id == "2020-7"
    assert [m["content"] for m in row.messages] == ["我咳嗽。\n一个星期了。", "吃药。"]


def test_an_utterance_without_speaker_is_an_error(root):
    (root / "x.json").write_text(json.dumps([["I cough.", "doctor: Since when?"]]))
    with pytest.raises(data.DataError, match="'I cough.' should begin with patient: or doctor:"):
        data.load_dialogues("meddialog@x.json")


FORM = "dialogue_turns a list of objects with speaker and utterance"
GOOD = {"utterances": ["patient: I cough.", "doctor: Since when?"]}


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"description": "cough"}, f"has no utterances, no dialogue_turns; write one .*{FORM}"),
        ({"dialogue_turns": None}, f"has no utterances, no dialogue_turns; write one .*{FORM}"),
        (GOOD | {"dialogue_turns": []}, f"has utterances and dialogue_turns; write one .*{FORM}"),
        ({"dialogue_turns": "I cough."}, 'should be a list, is "I cough."; write a list of obj'),
        ({"dialogue_turns": 5}, "dialogue_turns should be a list, is 5; write a list of objects"),
        (
            {"dialogue_turns": [{"speaker": 0, "utterance": "I cough."}, "doctor: Since when?"]},
            r'dialogue_turns\[1\]: "doctor: Since when\?" is no object with speaker and utterance',
        ),
        ({"dialogue_turns": {"speaker": [0]}}, "dialogue_turns: field utterance is missing"),
        ({"dialogue_turns": {"utterance": ["x"]}}, "dialogue_turns: field speaker is missing"),
        (
            {"dialogue_turns": {"speaker": [0, 1], "utterance": ["x"]}},
            "dialogue_turns: 2 in speaker and 1 in utterance; each turn needs one of both",
        ),
        ({"dialogue_turns": [{"speaker": 0}]}, r"turns\[0\]: field utterance is missing"),
        (
            {"dialogue_turns": [{"speaker": 0, "utterance": None}]},
            r"dialogue_turns\[0\]: utterance should be text, is null",
        ),
        *(
            (
                {"dialogue_turns": [{"speaker": speaker, "utterance": "x"}]},
                rf"dialogue_turns\[0\]: speaker {shown} is not one of patient, .* 1 \(doctor\)",
            )
            for speaker, shown in ((2, 2), (0.0, 0.0), (True, "true"), ("nurse", '"nurse"'))
        ),
    ],
)
def test_a_row_of_another_form_is_an_error_with_file_row_and_choices(root, row, problem):
    (root / "x.json").write_text(json.dumps([GOOD, row]))
    with pytest.raises(
        data.DataError, match=rf"(?s)meddialog@x.json: 1 bad row.*row 2: .*{problem}"
    ):
        data.load_dialogues("meddialog@x.json")


@pytest.mark.parametrize("row", [{"utterances": []}, {"dialogue_turns": []}, []])
def test_a_row_without_turns_is_left_out(root, row):
    (root / "x.json").write_text(json.dumps([GOOD, row]))
    with pytest.warns(UserWarning, match="1 rows without a reply are left out"):
        assert len(data.load_dialogues("meddialog@x.json")) == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "id=7\nDescription\nx\nDialog\n病人：\n发烧。\n",
            "line 1: no line Dialogue below it; write",
        ),
        ("Dialogue\n病人：\n发烧。\nid=7\nDialogue\n", "line 1: Dialogue has no line id= above it"),
        (
            "id=1\nDialogue\n病人：\n发烧。\nid=x2\nDialogue\n病人：\n头疼。\n",
            "line 6: a second line Dialogue; write a line id= above it",
        ),
        ("id=seven\nDialogue\n病人：\n发烧。\n", "no line id= with a number; is it a raw file"),
    ],
)
def test_a_raw_file_of_another_form_is_an_error_with_its_line(root, text, problem):
    (root / "2020.txt").write_text(text, encoding="utf-8")
    with pytest.raises(data.DataError, match=rf"(?s)2020.txt: .*{problem}"):
        data.load_dialogues("meddialog@2020.txt")


def test_meddialog_is_no_registered_download():
    with pytest.raises(data.DataError, match="name a file: meddialog@data/public"):
        data.load_dialogues("meddialog")
