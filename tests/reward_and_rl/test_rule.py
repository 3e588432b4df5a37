"""The rule: 1 for the fact and nothing else, 0 for another fact or a denial."""

import pytest
import torch
from tests.support.toy_rewards import make_prompt, make_reply

from clinical_camel import data
from clinical_camel.reward_and_rl.rule import rule_reward, score_by_rule
from clinical_camel.reward_and_rl.shapes import Prompt, Reply, make_prompts


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("Asthma is treated with inhaled salbutamol.", 1.0),
        ("Inhaled salbutamol.", 1.0),
        ("The treatment of asthma is inhaled salbutamol.", 1.0),
        ("Asthma is treated with salbutamol.", 2 / 3),  # half of the fact
        ("Asthma is treated with permethrin cream.", 0.0),
        ("Asthma is not treated with inhaled salbutamol.", 0.0),
        ("Gout is treated with inhaled salbutamol.", 0.0),
        ("", 0.0),
    ],
)
def test_a_reply_scores_what_it_states_of_the_fact(text, score):
    assert score_by_rule(make_reply("asthma", text)) == pytest.approx(score)


@pytest.mark.parametrize(
    "padding",
    [" Colchicine helps, too.", " salbutamol salbutamol", " is is is is", " Asthma asthma"],
)
def test_another_claim_a_repetition_and_padding_cost(padding):
    plain = make_reply("asthma", "Asthma is treated with inhaled salbutamol.")
    padded = make_reply("asthma", plain.text + padding)
    assert 0 < score_by_rule(padded) < score_by_rule(plain)


def test_every_reference_of_the_embedded_graph_scores_1_and_of_another_subject_0():
    prompts = make_prompts(data.load_dialogues("mini_triples"))[::3]
    assert set(rule_reward([Reply(p, p.reference, True) for p in prompts]).tolist()) == {1.0}
    others = [
        next(q for q in prompts if q.id.split("/")[1] == p.id.split("/")[1] and q.group != p.group)
        for p in prompts
    ]
    swapped = [Reply(p, q.reference, True) for p, q in zip(prompts, others, strict=True)]
    assert rule_reward(swapped).mean() < 0.01


def test_chinese_is_compared_by_characters():
    messages = [{"role": "user", "content": "感冒有哪些症状？"}]
    prompt = Prompt("x", "x", messages, "感冒的症状包括发热、咳嗽。")
    texts = (prompt.reference, "发热。", "头痛。")
    scores = rule_reward([Reply(prompt, text, True) for text in texts])
    assert scores.tolist() == pytest.approx([1.0, 2 / 3, 0.0])


def test_the_reward_has_one_float32_number_per_reply():
    scores = rule_reward([make_reply("gout", "Colchicine."), make_reply("gout", "Rest.")])
    assert scores.dtype == torch.float32
    assert scores.tolist() == [1.0, 0.0]


def test_a_prompt_without_reference_needs_another_ranker():
    with pytest.raises(ValueError, match="prompt gout/treatment-1 has none; use a judge"):
        score_by_rule(Reply(make_prompt("gout", reference=""), "Rest.", True))
