"""Tests of data.medical_qa: cMedQA2 and MedDialog as their authors distribute them."""

import json

import pytest

from clinical_camel import data


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


def test_meddialog_is_no_registered_download():
    with pytest.raises(data.DataError, match="name a file: meddialog@data/public"):
        data.load_dialogues("meddialog")
