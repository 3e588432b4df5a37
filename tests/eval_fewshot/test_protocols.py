"""The exact prompts of each protocol, and how replies are parsed."""

import pytest

from clinical_camel import eval_fewshot, models
from clinical_camel.data import Question
from clinical_camel.eval_fewshot import PROTOCOLS

QUESTION = Question(id="q1", question="Which?", options=["x", "yy"], answer=1, subset="s")
EXEMPLAR = Question(id="e1", question="What?", options=["a", "b"], answer=0)


@pytest.fixture(scope="module")
def llm():
    return models.load("mini", {"base": ""})["base"]


def test_the_prompt_ends_before_the_answer():
    prompt = eval_fewshot.build_prompt(QUESTION, [EXEMPLAR], PROTOCOLS["option_text"])
    assert prompt == "Question: What?\nAnswer: a\n\nQuestion: Which?\nAnswer:"


def test_the_letter_prompt_lists_the_options_and_its_exemplars_answer_with_a_letter():
    prompt = eval_fewshot.build_prompt(QUESTION, [EXEMPLAR], PROTOCOLS["letter"])
    assert prompt.startswith("Question: What?\nA. a\nB. b\nAnswer: A\n\n")
    assert eval_fewshot.list_continuations(QUESTION, PROTOCOLS["letter"]) == [" A", " B"]


def test_a_context_precedes_its_question():
    question = Question(id="1", question="Q?", options=["yes", "no"], answer=0, context="Text.")
    prompt = eval_fewshot.build_prompt(question, [], PROTOCOLS["option_text"])
    assert prompt == "Abstract: Text.\nQuestion: Q?\nAnswer:"


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


@pytest.mark.parametrize(
    ("name", "benchmark", "prompt", "answers"),
    [
        # Clinical Camel's task files (facts 1.4): options inline, the texts scored
        ("harness_2023", "medqa_us", "Question: Which?\n(A) x (B) yy\nAnswer:", [" x", " yy"]),
        # lm-evaluation-harness v0.3.0, hendrycks_test
        (
            "harness_2023",
            "mmlu_medical",
            "Question: Which?\nChoices:\nA. x\nB. yy\nAnswer:",
            [" x", " yy"],
        ),
        # lm-evaluation-harness 0.4: medqa, medmcqa, mmlu, pubmedqa
        ("harness_now", "medqa_us", "Question: Which?\nA. x\nB. yy\nAnswer:", [" A", " B"]),
        (
            "harness_now",
            "medmcqa",
            "Question: Which?\nChoices:\nA. x\nB. yy\nAnswer:",
            [" A", " B"],
        ),
        (
            "harness_now",
            "mmlu_medical",
            "The following are multiple choice questions (with answers) about s.\n\n"
            "Which?\nA. x\nB. yy\nAnswer:",
            [" A", " B"],
        ),
        ("harness_now", "pubmedqa", "Question: Which?\nAnswer:", [" x", " yy"]),
        ("harness_2023", "pubmedqa_test", "Question: Which?\nAnswer:", [" x", " yy"]),
    ],
)
def test_a_published_protocol_has_the_prompt_of_its_source(name, benchmark, prompt, answers):
    protocol = PROTOCOLS[name].for_benchmark(benchmark)
    assert eval_fewshot.build_prompt(QUESTION, [], protocol) == prompt
    assert eval_fewshot.list_continuations(QUESTION, protocol) == answers


def test_medalpaca_starts_the_reply_and_lists_options_with_colons():
    prompt = eval_fewshot.build_prompt(QUESTION, [], PROTOCOLS["medalpaca"])
    assert "\n\n### Instruction:\nAnswer this multiple choice question.\n\n### Input:\n" in prompt
    assert "Which?\nA: x\nB: yy\n\n### Response:\n" in prompt
    assert prompt.endswith("The Answer to the question is:")


def test_every_layout_answer_type_and_parser_of_a_protocol_exists():
    for protocol in PROTOCOLS.values():
        for benchmark in ("", *protocol.exceptions):
            assert protocol.for_benchmark(benchmark).layout in eval_fewshot.protocols.LAYOUTS
        assert protocol.answer_type in eval_fewshot.protocols.ANSWER_TYPES
        assert (protocol.answer_type == "reply") == bool(protocol.parser)


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


@pytest.mark.parametrize(
    ("reply", "option"),
    [
        ("B", 1),
        ("b", 1),
        (" B ", 1),
        ("B.", 1),
        ("B)", 1),
        ("(B)", 1),
        ("(b)", 1),
        ("[B]", 1),
        ("**B**", 1),
        ('"B"', 1),
        ("B: a beta blocker", 1),
        ("B. a beta blocker", 1),
        ("(B) a beta blocker", 1),
        ("(B) is correct.", 1),
        ("B\n\nBecause it slows the heart.", 1),
        ("Answer: B", 1),
        ("Answer: B.", 1),
        ("answer: B", 1),
        ("Answer:B", 1),
        ("Answer: (B)", 1),
        ("Answer: **B**", 1),
        ("**Answer:** B", 1),
        ("Answer: A", 0),
        ("Answer: A.", 0),
        ("The answer is B.", 1),
        ("The answer is B because it slows the heart.", 1),
        ("The answer is (B) a beta blocker.", 1),
        ("The correct answer is: C", 2),
        ("The correct option is C.", 2),
        ("My choice would be D", 3),
        ("I think that the answer is D, low-dose aspirin.", 3),
        ("Option C", 2),
        ("Option C is right.", 2),
        ("First, the heart is fast. So we slow it.\nAnswer: B", 1),
        ("The answer is A? No: it bleeds.\nAnswer: C", 2),
        ("Not option A.\nThe answer is B.\nAnswer: B", 1),
        ("a beta blocker", 1),
        ("A beta blocker.", 1),
        ("I would give warfarin.", 2),
        ("Low-dose aspirin", 3),
        ("low-dose aspirin is best here", 3),
        ("ASPIRIN", 0),
        ("Answer: warfarin", 2),
        ("The answer is a beta blocker.", 1),
        ("The answer is A beta blocker.", 1),
        ("", NONE),
        ("   ", NONE),
        ("I don't know.", NONE),
        ("I cannot give medical advice.", NONE),
        ("As an AI model, I cannot answer.", NONE),
        ("It depends on the patient.", NONE),
        ("A and B", NONE),
        ("aspirin or warfarin", NONE),
        ("Answer: A or answer: B", NONE),
        ("warfarin and a beta blocker", NONE),
        ("E", NONE),
        ("Answer: E", NONE),
        ("Answer: J.", NONE),
        ("The answer is none of them.", NONE),
        ("心臓", NONE),
        ("答案：B", NONE),
        ("\u200bB", NONE),
        ("A patient like this needs rest.", NONE),
        ("I would wait.", NONE),
        ("Begin slowly.", NONE),
        ("The answer is I don't know", NONE),
    ],
)
def test_a_letter_is_parsed_from_a_reply(reply, option):
    assert eval_fewshot.parse_letter(reply, DRUGS) == option


@pytest.mark.parametrize(
    ("reply", "option"),
    [
        ("B: a beta blocker", 1),
        ("B. a beta blocker", 1),
        ("B a beta blocker", 1),
        ("  C: warfarin", 2),
        ("A beta blocker", 0),  # as in the original: a word that is a capital letter
        ("B", NONE),
        ("B:", NONE),
        ("b: a beta blocker", NONE),
        ("The answer is B", NONE),
        ("F: nothing", NONE),
        ("", NONE),
    ],
)
def test_medalpacas_parser_needs_a_capital_a_mark_and_text(reply, option):
    assert eval_fewshot.parse_medalpaca(reply, DRUGS) == option
