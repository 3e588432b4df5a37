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


def test_equal_questions_with_different_ids_are_one_group():
    """Their subjects become one with all their prompts; upper case is no difference."""
    texts = {"gout/1": "Which crystals?", "podagra/1": "which  crystals", "podagra/2": "Pain?"}
    texts |= {"scabies/1": "Itch?", "row-1": "What now?", "row-2": "What now?"}
    answer = {"role": "assistant", "content": "Yes."}
    dialogues = [
        data.Dialogue(id=id_, source="x", messages=[{"role": "user", "content": text}, answer])
        for id_, text in texts.items()
    ]
    groups = {prompt.id: prompt.group for prompt in make_prompts(dialogues)}
    assert groups == {
        **{"gout/1": "gout", "podagra/1": "gout", "podagra/2": "gout", "scabies/1": "scabies"},
        **{"row-1": "row-1", "row-2": "row-1"},
    }
