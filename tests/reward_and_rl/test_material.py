"""Prompts, batches, the exam's key and the truncation penalty."""

import json
import random

import pytest
import torch
from tests.support.toy_policies import give_nan, make_prompt, share_of_e, toy_settings

from clinical_camel.data import DataError, Question, loading
from clinical_camel.reward_and_rl import material
from clinical_camel.reward_and_rl.guards import StoppedTraining
from clinical_camel.reward_and_rl.settings import RewardAndRl
from clinical_camel.reward_and_rl.shapes import Reply

MESSAGES = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "Urate."}]
QUESTION = Question(
    id="q",
    question="Which test?",
    options=["a urine test", "a urine test of sugar", "an X-ray", "an ECG"],
    answer=1,
)


def test_no_subject_is_in_training_and_held_out_prompts():
    training, held_out = material.load_prompts(RewardAndRl(held_out_by="subject"))
    groups = [{prompt.group for prompt in part} for part in (training, held_out)]
    assert not groups[0] & groups[1]
    assert len(groups[1]) == round(0.2 * len(groups[0] | groups[1]))
    assert all(prompt.messages[-1]["role"] == "user" and prompt.reference for prompt in training)


def write_prompts(project, texts):
    """Write a file of dialogues by id; return the settings that read it."""
    rows = [
        {"id": id_, "source": "toy", "messages": [{"role": "user", "content": text}, MESSAGES[1]]}
        for id_, text in texts.items()
    ]
    project.file("data/rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    return {"prompts": {"data/rows.jsonl": 1.0}, "held_out_fraction": 0.4}


def test_by_default_a_fraction_of_the_prompts_is_held_out():
    training, held_out = material.load_prompts(RewardAndRl())
    assert len(held_out) == round(0.2 * len([*training, *held_out]))
    assert {prompt.group for prompt in held_out} & {prompt.group for prompt in training}


@pytest.mark.parametrize("by", ["prompt", "subject"])
def test_no_question_is_in_training_and_held_out_prompts(by, project):
    """Every question occurs twice, with ids that do not show it."""
    values = write_prompts(project, {f"row-{i}": f"Question {i // 2}?" for i in range(20)})
    for seed in range(10):
        parts = material.load_prompts(RewardAndRl(**values, held_out_by=by, seed=seed))
        texts = [{prompt.messages[-1]["content"] for prompt in part} for part in parts]
        assert not texts[0] & texts[1]
        assert [len(part) for part in texts] == [6, 4]


def test_the_exam_s_key_has_no_subject_of_a_united_group_and_no_held_out_question(project):
    questions = {"gout": "Sign?", "podagra": "Toe?", "asthma": "Itch?", "mumps": "Jaw?"}
    rows = [
        {"id": group, "question": text, "options": ["a", "b"], "answer": 0, "group": group}
        for group, text in questions.items()
    ]
    project.file("data/key.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    texts = {"gout/1": "Which crystals?", "podagra/1": "Which crystals?", "scabies/1": "Itch?"}
    values = write_prompts(project, texts | {"other/1": "Why?"})
    for by, groups in (("subject", ["mumps"]), ("prompt", ["gout", "podagra", "mumps"])):
        settings = RewardAndRl(**values, held_out_by=by, exam_key="data/key.jsonl")
        parts = material.load_prompts(settings)
        held_out = [p for part in parts for p in part if p.id != "other/1"]
        assert [row.group for row in material.load_exam_key(settings, held_out)] == groups


def test_the_table_of_prompts_names_their_part_and_no_text():
    prompts = [make_prompt(i) for i in range(3)]
    table = material.tabulate_prompts(prompts[:2], prompts[2:])
    assert table["id"].tolist() == ["case-0", "case-1", "case-2"]
    assert table["group"].tolist() == ["group-0", "group-0", "group-1"]
    assert table["part"].tolist() == ["training", "training", "held out"]
    assert table["question_hash"].str.fullmatch("[0-9a-f]{64}").all()
    assert table["question_hash"].nunique() == 3


def test_articles_and_ids_of_two_datasets_are_no_prompts(project):
    with pytest.raises(DataError, match="prompts: mini_articles: .* is an article"):
        material.load_prompts(RewardAndRl(prompts={"mini_articles": 0.1}))
    row = {"id": "gout/cause-1", "source": "toy", "messages": MESSAGES}
    names = ["data/one.jsonl", "data/two.jsonl"]
    for name in names:
        project.file(name, json.dumps(row) + "\n")
    with pytest.raises(DataError, match="the id gout/cause-1 is in two datasets; rename it in one"):
        material.load_prompts(RewardAndRl(prompts=dict.fromkeys(names, 1.0)))


def test_the_prompts_are_shuffled_once_per_pass(monkeypatch):
    seeds = []

    class Recorder(random.Random):
        def __init__(self, seed):
            seeds.append(seed)
            super().__init__(seed)

    monkeypatch.setattr(material.random, "Random", Recorder)
    prompts = list("abcdefg")
    batch = material.choose_batch(prompts, 3, step=2, seed=1)
    assert seeds == ["1/0", "1/1"]
    assert batch == ["f", "c", "g"]
    assert material.choose_batch(["a", "b"], 5, step=0, seed=1) == ["a", "b", "a", "b", "b"]


def test_every_prompt_occurs_once_per_pass_and_a_later_step_needs_no_earlier_one():
    prompts = list("abcdefg")
    batches = [material.choose_batch(prompts, 3, step, seed=1) for step in range(7)]
    drawn = [item for batch in batches for item in batch]
    assert [sorted(drawn[i : i + 7]) for i in (0, 7, 14)] == [prompts] * 3
    assert drawn[:7] != drawn[7:14]
    assert material.choose_batch(prompts, 3, 5, seed=1) == batches[5]
    assert material.choose_batch(prompts, 3, 5, seed=2) != batches[5]


@pytest.mark.parametrize(
    ("reply", "has_letters", "option"),
    [
        ("It is a urine test of sugar.", False, 1),
        ("A urine test", False, 0),
        ("an x-ray, or an ECG", False, None),
        ("none", False, None),
        ("", False, None),
        ("B", True, 1),
        ("(C) an X-ray", True, 2),
        ("(C) an ECG", True, None),
        ("The answer is D.", True, 3),
        ("a urine test", True, 0),
        ("B", False, None),
        ("E", True, None),
        ("B. a urine test of sugar", True, 1),
        ("Answer: B", True, 1),
        ("The correct option is (D).", True, 3),
        ("B. an X-ray", True, None),
        ("B. a urine test of sugar, or A", True, None),
        ("B, a urine test of sugar, and C", True, None),
        ("B or D", True, None),
        ("A urine test of sugar", True, 1),
        ("B. An X-ray or a urine test of sugar", True, None),
        ("It is not an ECG", False, None),
        ("Neither is right, nor is an ECG", False, None),
        ("It isn\u2019t an ECG", False, None),
        ("Not B.", True, None),
        ("B, but it cannot be B", True, None),
    ],
)
def test_the_option_that_a_reply_names(reply, has_letters, option):
    assert material.find_option(reply, QUESTION, has_letters) == option


@pytest.mark.parametrize(
    ("reply", "option"),
    [
        ("B. no treatment", 1),
        ("no treatment", 1),
        ("C. hepatitis A", 2),
        ("C. hepatitis A, or A", None),
        ("not hepatitis A", None),
    ],
)
def test_an_option_may_have_a_denial_or_a_letter(reply, option):
    options = ["gout", "no treatment", "hepatitis A"]
    question = Question(id="q", question="Which?", options=options, answer=1)
    assert material.find_option(reply, question, True) == option


def test_the_exam_s_key_has_no_held_out_subject():
    settings = RewardAndRl(prompts={"mini_triples": 1.0}, held_out_by="subject")
    training, held_out = material.load_prompts(settings)
    groups = {prompt.group for prompt in held_out}
    every = material.load_exam_key(settings, [])
    chosen = material.load_exam_key(settings, held_out)
    named = {row.group.lower().replace(" ", "-") for row in every}
    assert named <= groups | {prompt.group for prompt in training}
    assert named & groups
    assert {row.group.lower().replace(" ", "-") for row in chosen} == named - groups


def test_the_exam_s_key_rewards_the_correct_option_alone():
    (prompt,) = material.make_exam_prompts([QUESTION], shows_options=False)
    assert prompt.messages[-1]["content"] == "Which test?"
    texts = ["It needs a urine test of sugar.", "an ECG", "a urine test of sugar and an ECG"]
    reward = material.make_key_reward([QUESTION], shows_options=False)
    assert reward([Reply(prompt, text, True) for text in texts]).tolist() == [1, 0, 0]


def test_a_truncated_reply_loses_the_penalty():
    replies = [Reply(make_prompt(0), "eeaa", True), Reply(make_prompt(0), "eeaa", False)]
    assert material.compute_rewards(share_of_e, replies, 2.0).tolist() == [0.5, -1.5]


def test_a_reward_that_is_no_number_stops_the_training_with_the_prompt():
    with pytest.raises(StoppedTraining, match="reply to prompt case-7 is nan; check the reward"):
        material.compute_rewards(give_nan, [Reply(make_prompt(7), "x", True)], 0.0)
    with pytest.raises(ValueError, match=r"returned shape \[1, 1\] for 1 replies"):
        material.compute_rewards(
            lambda replies: torch.ones(1, 1), [Reply(make_prompt(7), "x", True)], 0.0
        )


def test_the_limit_holds_for_exams():
    exams = material.load_exams(toy_settings(eval_limit=5, primer_exam=""))
    assert [len(rows) for rows in exams.values()] == [5]
    assert material.load_exam_key(toy_settings(exam_key=""), []) == []


def test_rankings_and_exams_are_read_with_the_prompts(project, monkeypatch):
    values = write_prompts(project, {f"row-{i}": f"Question {i}?" for i in range(5)})
    project.file("ranks.csv", "prompt_id,reply,rank\nrow-0,a,1\nrow-9,b,2\n")
    with pytest.raises(DataError, match="(?s)ranks.csv: .*line 3: prompt_id 'row-9' is no prompt"):
        material.load_prompts(RewardAndRl(**values, rankers=["ranks.csv"]))
    row = {"id": "q", "question": "Sign?", "options": ["a", "b"], "answer": 0}
    project.file("exam.jsonl", f"{json.dumps(row)}\n{json.dumps(row | {'answer': 9})}\n")
    monkeypatch.setattr(loading, "QUICK_BYTES", 10)  # the settings check the first row only
    with pytest.raises(DataError, match="(?s)exam.jsonl: .*line 2: answer 9 is not an index"):
        material.load_prompts(RewardAndRl(**values, exam="exam.jsonl"))


def test_a_key_that_is_held_out_completely_is_an_error_if_a_method_needs_it(project):
    values = write_prompts(project, {f"{name}/1": f"{name}?" for name in ("gout", "flu", "mumps")})
    values |= {"held_out_by": "subject", "exam_key": "key.jsonl"}
    row = {"id": "q", "question": "Sign?", "options": ["a", "b"], "answer": 0, "group": "gout"}
    project.file("key.jsonl", f"{json.dumps(row)}\n")
    held_out = [p for part in material.load_prompts(RewardAndRl(**values)) for p in part]
    problem = "exam_key: key.jsonl: all 1 questions are on held-out subjects; name other questions"
    with pytest.raises(DataError, match=problem):
        material.load_exam_key(RewardAndRl(**values), held_out)
    assert material.load_exam_key(RewardAndRl(**values, methods=["ppo"]), held_out) == []
