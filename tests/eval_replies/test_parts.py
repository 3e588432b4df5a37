"""Which part of the results a case belongs to."""

import pytest

from clinical_camel import data
from clinical_camel.data.grouping import list_user_turns
from clinical_camel.eval_replies.parts import (
    ALL,
    HELD_OUT,
    IN_TRAINING,
    NEW,
    RlPrompts,
    choose_part,
    load_rl_prompts,
)
from clinical_camel.reward_and_rl.material import tabulate_prompts
from clinical_camel.reward_and_rl.shapes import make_prompts

SFT = ("gout/1", "gout/2", "scabies/1", "scabies/2", "eczema/1", "podagra/1")
TEXTS = {id_: f"Question {id_}?" for id_ in (*SFT, "new/1", "rl/1")} | {"podagra/1": "Crystals?"}
PROMPTS = {name: TEXTS[name] for name in ("gout/1", "scabies/1", "rl/1")} | {"gout/3": "Crystals?"}


def ask(text):
    return [{"role": "user", "content": text}]


def make_rows(texts):
    answer = {"role": "assistant", "content": "Yes."}
    return [
        data.Dialogue(id=id_, source="toy", messages=[*ask(text), answer])
        for id_, text in texts.items()
    ]


@pytest.fixture
def table(project):
    """The table that step 07 saves: scabies is held out."""
    prompts = make_prompts(make_rows(PROMPTS))
    is_held_out = {True: [], False: []}
    for prompt in prompts:
        is_held_out[prompt.group == "scabies"].append(prompt)
    rows = tabulate_prompts(is_held_out[False], is_held_out[True])
    project.file("outputs/toy/07_reward_and_rl/prompts.csv", rows.to_csv(index=False))
    return "outputs/toy/07_reward_and_rl/prompts.csv"


@pytest.mark.parametrize(
    ("id_", "part"),
    [
        ("gout/1", IN_TRAINING),  # a training prompt
        ("gout/2", IN_TRAINING),  # no prompt, but its subject has training prompts
        ("scabies/1", HELD_OUT),  # a held-out prompt
        ("scabies/2", HELD_OUT),  # no prompt, but its subject is held out
        ("eczema/1", IN_TRAINING),  # a subject without a prompt
        ("podagra/1", IN_TRAINING),  # the question of a training prompt on another subject
        ("rl/1", IN_TRAINING),  # a training prompt that no training set has
        ("new/1", NEW),
    ],
)
def test_training_set_and_subject_decide_the_part(table, id_, part):
    questions = {list_user_turns(ask(TEXTS[name])) for name in SFT}
    prompts = load_rl_prompts(table)
    subject = id_.partition("/")[0]
    assert choose_part(ask(TEXTS[id_]), subject, questions, prompts) == part
    assert choose_part(ask(TEXTS[id_]), subject, None, prompts) == ALL


def test_a_held_out_question_on_a_subject_with_training_prompts_is_held_out(project):
    prompts = make_prompts(make_rows({name: TEXTS[name] for name in ("gout/1", "gout/2")}))
    file = "outputs/toy/07_reward_and_rl/prompts.csv"
    project.file(file, tabulate_prompts(prompts[:1], prompts[1:]).to_csv(index=False))
    parts = load_rl_prompts(file)
    questions = {list_user_turns(ask(TEXTS[name])) for name in SFT}
    assert choose_part(ask(TEXTS["gout/1"]), "gout", questions, parts) == IN_TRAINING
    assert choose_part(ask(TEXTS["gout/2"]), "gout", questions, parts) == HELD_OUT


def test_without_a_table_no_subject_is_held_out():
    assert load_rl_prompts("") == RlPrompts()
    questions = {list_user_turns(ask("Itch?"))}
    assert choose_part(ask("Itch?"), "scabies", questions, RlPrompts()) == IN_TRAINING


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,part\ngout/1,training\n", r"p\.csv: no column question_hash; name prompts\.csv of"),
        ("id,part,question_hash\na,training,x\nb,test,y\n", "line 3: part 'test' is not training"),
    ],
)
def test_another_table_is_rejected_by_line(project, text, message):
    project.file("data/p.csv", text)
    with pytest.raises(ValueError, match=message):
        load_rl_prompts("data/p.csv")


def test_a_missing_table_is_an_error():
    with pytest.raises(ValueError, match="rl_prompts: outputs/x.csv: no such file; run step 07"):
        load_rl_prompts("outputs/x.csv")
