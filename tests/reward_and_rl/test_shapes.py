"""Prompts are dialogues without their last reply."""

from clinical_camel import data
from clinical_camel.reward_and_rl.shapes import make_prompts


def test_earlier_turns_stay_and_the_last_reply_is_the_reference():
    texts = ("system", "user", "assistant", "user", "assistant")
    messages = [{"role": role, "content": f"{i}"} for i, role in enumerate(texts)]
    (prompt,) = make_prompts([data.Dialogue(id="x", source="y", messages=messages)])
    assert [m["content"] for m in prompt.messages] == ["0", "1", "2", "3"]
    assert (prompt.reference, prompt.group) == ("4", "x")


def test_questions_on_one_subject_are_one_group():
    prompts = make_prompts(data.load_dialogues("mini_triples"))
    groups = {prompt.group for prompt in prompts}
    assert len(prompts) == 18 * len(groups)
    assert all(prompt.messages[-1]["role"] == "user" for prompt in prompts)
