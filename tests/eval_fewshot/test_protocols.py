"""The exact prompts of each protocol, and how replies are parsed."""

import dataclasses

import pytest

from clinical_camel import eval_fewshot
from clinical_camel.data import Question
from clinical_camel.eval_fewshot import PROTOCOLS, protocols

QUESTION = Question(id="q1", question="Which?", options=["x", "yy"], answer=1, subset="s")
EXEMPLAR = Question(id="e1", question="What?", options=["a", "b"], answer=0)


def test_in_chat_an_exemplar_is_an_earlier_turn_and_the_reply_starts_without_a_space(llm):
    prompt = eval_fewshot.build_prompt(QUESTION, [EXEMPLAR], PROTOCOLS["chat"], llm.tokenizer)
    assert prompt == (
        "<s><|user|>What?\n(A) a\n(B) b<|end|><|assistant|>a</s>"
        "<|user|>Which?\n(A) x\n(B) yy<|end|><|assistant|>"
    )
    assert eval_fewshot.list_continuations(QUESTION, PROTOCOLS["chat"]) == ["x", "yy"]


def test_in_conversation_the_options_are_not_listed(llm):
    protocol = PROTOCOLS["conversation"]
    prompt = eval_fewshot.build_prompt(QUESTION, [EXEMPLAR], protocol, llm.tokenizer)
    assert prompt == ("<s><|user|>What?<|end|><|assistant|>a</s><|user|>Which?<|end|><|assistant|>")
    assert eval_fewshot.list_continuations(QUESTION, protocol) == ["x", "yy"]


# ------------------------------------------------------------- published protocols, word for word

LISTED = "A. x\nB. yy\nAnswer:"
MMLU = "The following are multiple choice questions (with answers) about s.\n\n"
LETTER, TEXT = [" A", " B"], [" x", " yy"]


@pytest.mark.parametrize(
    ("name", "benchmark", "prompt", "answers"),
    [
        ("option_text", "", "Question: Which?\nAnswer:", TEXT),
        ("letter", "", f"Question: Which?\n{LISTED}", LETTER),
        # Clinical Camel's task files (facts 1.4): options inline, the texts scored
        ("harness_2023", "medqa_us", "Question: Which?\n(A) x (B) yy\nAnswer:", TEXT),
        # lm-evaluation-harness v0.3.0, hendrycks_test
        ("harness_2023", "mmlu_medical", f"Question: Which?\nChoices:\n{LISTED}", TEXT),
        ("harness_2023", "pubmedqa_test", "Question: Which?\nAnswer:", TEXT),
        # lm-evaluation-harness 0.4: medqa, medmcqa, mmlu, pubmedqa
        ("harness_now", "medqa_us", f"Question: Which?\n{LISTED}", LETTER),
        ("harness_now", "medmcqa", f"Question: Which?\nChoices:\n{LISTED}", LETTER),
        ("harness_now", "mmlu_medical", f"{MMLU}Which?\n{LISTED}", LETTER),
        ("harness_now", "pubmedqa", "Question: Which?\nAnswer:", TEXT),
    ],
)
def test_a_protocol_has_the_prompt_of_its_source(name, benchmark, prompt, answers):
    protocol = PROTOCOLS[name].for_benchmark(benchmark)
    assert eval_fewshot.build_prompt(QUESTION, [], protocol) == prompt
    assert eval_fewshot.list_continuations(QUESTION, protocol) == answers


def test_exemplars_end_with_their_answer_and_a_context_precedes_its_question():
    question = dataclasses.replace(QUESTION, context="Text.")
    for name, solved in (("option_text", "Answer: a"), ("letter", "A. a\nB. b\nAnswer: A")):
        prompt = eval_fewshot.build_prompt(question, [EXEMPLAR], PROTOCOLS[name])
        start = f"Question: What?\n{solved}\n\nAbstract: Text.\nQuestion: Which?\n"
        assert prompt.startswith(start)


def test_medalpaca_starts_the_reply_and_lists_options_with_colons():
    prompt = eval_fewshot.build_prompt(QUESTION, [], PROTOCOLS["medalpaca"])
    assert "\n\n### Instruction:\nAnswer this multiple choice question.\n\n### Input:\n" in prompt
    assert "Which?\nA: x\nB: yy\n\n### Response:\n" in prompt
    assert prompt.endswith("The Answer to the question is:")


def test_a_brace_in_a_question_is_copied():
    odd = Question(id="o", question="Which {x}?", options=["{a}", "b"], answer=0)
    prompt = eval_fewshot.build_prompt(odd, [], PROTOCOLS["letter"])
    assert prompt == "Question: Which {x}?\nA. {a}\nB. b\nAnswer:"


def test_a_chat_reply_has_an_instruction_in_every_turn(llm):
    prompt = eval_fewshot.build_prompt(
        QUESTION, [EXEMPLAR], PROTOCOLS["chat_thought"], llm.tokenizer
    )
    assert prompt.count("Think step by step") == 2
    assert "<|assistant|>A</s>" in prompt


# ---------------------------------------------------------------------------------- replies

DRUGS = ["aspirin", "a beta blocker", "warfarin", "low-dose aspirin"]
NONE = -1


LETTERS = {
    0: ("Answer: A", "Answer: A.", "ASPIRIN"),
    1: (
        *("B", "b", " B ", "B.", "B)", "(B)", "(b)", "[B]", "**B**", '"B"', "B: a beta blocker"),
        *("B. a beta blocker", "(B) a beta blocker", "(B) is correct.", "Answer: B", "Answer: B."),
        *("answer: B", "Answer:B", "Answer: (B)", "Answer: **B**", "**Answer:** B"),
        *("B\n\nBecause it slows the heart.", "The answer is B.", "The answer is A beta blocker."),
        *("The answer is B because it slows the heart.", "The answer is (B) a beta blocker."),
        *("First, the heart is fast. So we slow it.\nAnswer: B", "The answer is a beta blocker."),
        *("Not option A.\nThe answer is B.\nAnswer: B", "a beta blocker", "A beta blocker."),
    ),
    2: (
        *("The correct answer is: C", "The correct option is C.", "Option C", "Option C is right."),
        *("The answer is A? No: it bleeds.\nAnswer: C", "Answer: warfarin"),
        "I would give warfarin.",
    ),
    3: (
        *("My choice would be D", "I think that the answer is D, low-dose aspirin."),
        *("Low-dose aspirin", "low-dose aspirin is best here"),
    ),
    NONE: (
        *("", "   ", "I don't know.", "I cannot give medical advice.", "I would wait.", "E"),
        *("As an AI model, I cannot answer.", "It depends on the patient.", "A and B"),
        *("aspirin or warfarin", "Answer: A or answer: B", "warfarin and a beta blocker"),
        *("Answer: E", "Answer: J.", "The answer is none of them.", "心臓", "答案：B", "\u200bB"),
        *("A patient like this needs rest.", "Begin slowly.", "The answer is I don't know"),
    ),
}
MEDALPACA = {
    0: ("A beta blocker",),  # as in the original: a word that is a capital letter
    1: ("B: a beta blocker", "B. a beta blocker", "B a beta blocker"),
    2: ("  C: warfarin",),
    NONE: ("B", "B:", "b: a beta blocker", "The answer is B", "F: nothing", ""),
}


def pair(replies: dict) -> list[tuple[str, int]]:
    return [(reply, option) for option, texts in replies.items() for reply in texts]


@pytest.mark.parametrize(("reply", "option"), pair(LETTERS))
def test_a_letter_is_parsed_from_a_reply(reply, option):
    assert protocols.parse_letter(reply, DRUGS) == option


@pytest.mark.parametrize(("reply", "option"), pair(MEDALPACA))
def test_medalpacas_parser_needs_a_capital_a_mark_and_text(reply, option):
    assert protocols.parse_medalpaca(reply, DRUGS) == option
