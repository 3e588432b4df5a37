"""Step 03, the protocols: prompts as they must stand, replies as they must be read.

The first half of eval_fewshot: tests/test_eval_fewshot.py has the second.
"""

import collections

import pytest

from clinical_camel import eval_fewshot, models
from clinical_camel.data import Question
from clinical_camel.eval_fewshot import PROTOCOLS

QUESTION = Question(id="q1", question="Which?", options=["x", "yy"], answer=1, subset="s")
EXAMPLE = Question(id="e1", question="What?", options=["a", "b"], answer=0)


@pytest.fixture(scope="module")
def llm():
    return models.load("mini", {"base": ""})["base"]


def test_the_prompt_ends_where_the_model_must_answer():
    prompt = eval_fewshot.build_prompt(QUESTION, [EXAMPLE], PROTOCOLS["option_text"])
    assert prompt == "Question: What?\nAnswer: a\n\nQuestion: Which?\nAnswer:"


def test_the_letter_prompt_lists_the_options_and_answers_with_a_letter():
    prompt = eval_fewshot.build_prompt(QUESTION, [EXAMPLE], PROTOCOLS["letter"])
    assert prompt.startswith("Question: What?\nA. a\nB. b\nAnswer: A\n\n")
    assert eval_fewshot.continuations(QUESTION, PROTOCOLS["letter"]) == [" A", " B"]


def test_a_context_stands_before_its_question():
    question = Question(id="1", question="Q?", options=["yes", "no"], answer=0, context="Text.")
    prompt = eval_fewshot.build_prompt(question, [], PROTOCOLS["option_text"])
    assert prompt == "Abstract: Text.\nQuestion: Q?\nAnswer:"


def test_in_chat_the_example_is_an_earlier_exchange_and_the_reply_starts_without_a_space(llm):
    prompt = eval_fewshot.build_prompt(QUESTION, [EXAMPLE], PROTOCOLS["chat"], llm.tokenizer)
    assert prompt == (
        "<s><|user|>What?\n(A) a\n(B) b<|end|><|assistant|>a</s>"
        "<|user|>Which?\n(A) x\n(B) yy<|end|><|assistant|>"
    )
    assert eval_fewshot.continuations(QUESTION, PROTOCOLS["chat"]) == ["x", "yy"]


def test_in_conversation_the_options_are_not_listed(llm):
    protocol = PROTOCOLS["conversation"]
    prompt = eval_fewshot.build_prompt(QUESTION, [EXAMPLE], protocol, llm.tokenizer)
    assert prompt == ("<s><|user|>What?<|end|><|assistant|>a</s><|user|>Which?<|end|><|assistant|>")
    assert eval_fewshot.continuations(QUESTION, protocol) == ["x", "yy"]


# ------------------------------------------------------------- as others have asked, word for word


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
def test_a_published_protocol_asks_as_its_source_does(name, benchmark, prompt, answers):
    protocol = PROTOCOLS[name].on(benchmark)
    assert eval_fewshot.build_prompt(QUESTION, [], protocol) == prompt
    assert eval_fewshot.continuations(QUESTION, protocol) == answers


def test_medalpaca_primes_the_reply_and_lists_with_colons():
    prompt = eval_fewshot.build_prompt(QUESTION, [], PROTOCOLS["medalpaca"])
    assert "\n\n### Instruction:\nAnswer this multiple choice question.\n\n### Input:\n" in prompt
    assert "Which?\nA: x\nB: yy\n\n### Response:\n" in prompt
    assert prompt.endswith("The Answer to the question is:")


def test_every_layout_and_reader_that_a_protocol_names_is_there():
    for protocol in PROTOCOLS.values():
        for benchmark in ("", *protocol.exceptions):
            assert protocol.on(benchmark).layout in eval_fewshot.protocols.LAYOUTS
        assert protocol.scores in eval_fewshot.protocols.SCORES
        assert (protocol.scores == "reply") == bool(protocol.reader)


def test_a_brace_in_a_question_is_only_a_brace():
    odd = Question(id="o", question="Which {x}?", options=["{a}", "b"], answer=0)
    prompt = eval_fewshot.build_prompt(odd, [], PROTOCOLS["letter"])
    assert prompt == "Question: Which {x}?\nA. {a}\nB. b\nAnswer:"


def test_a_chat_reply_is_asked_for_in_words(llm):
    prompt = eval_fewshot.build_prompt(
        QUESTION, [EXAMPLE], PROTOCOLS["chat_thought"], llm.tokenizer
    )
    assert prompt.count("Think step by step") == 2
    assert "<|assistant|>A</s>" in prompt


# --------------------------------------------------------------------------------- examples

POOL = [
    Question(id=f"p{i}", question=f"P{i}?", options=["a", "b"], answer=0, subset="st"[i % 2])
    for i in range(20)
]
ASKED = [
    Question(id=f"a{i}", question=f"A{i}?", options=["a", "b"], answer=0, subset="st"[i % 2])
    for i in range(10)
]


def chosen(choice, num_shots=4, benchmark="mmlu_medical", pool=POOL, asked=ASKED, seed=0):
    return eval_fewshot.choose_exemplars(benchmark, pool, asked, num_shots, choice, seed)


def test_fixed_examples_are_one_set_for_all_questions():
    shown = chosen("fixed", 12, "toy")
    assert len({tuple(e.id for e in each) for each in shown.values()}) == 1
    assert len(shown["a0"]) == 12


def test_in_mmlu_fixed_examples_are_one_set_for_each_subject():
    sets = collections.defaultdict(set)
    for question in ASKED:
        shown = chosen("fixed")[question.id]
        sets[question.subset].add(tuple(e.id for e in shown))
        assert {e.subset for e in shown} == {question.subset}
    assert [len(s) for s in sets.values()] == [1, 1]


def test_examples_for_each_question_differ_and_come_back_with_the_seed():
    first = chosen("per_question")
    assert len({tuple(e.id for e in shown) for shown in first.values()}) > 5
    assert first == chosen("per_question") != chosen("per_question", seed=1)


def test_an_example_that_is_a_question_of_another_subject_is_no_obstacle():
    shared = Question(id="x", question="P0?", options=["a", "b"], answer=0, subset="t")
    design = eval_fewshot.Design(["letter"], [10])
    eval_fewshot.plan({"mmlu_medical": [shared]}, {"mmlu_medical": POOL}, design)
    with pytest.raises(ValueError, match="also one of its questions, x"):
        eval_fewshot.plan({"toy": [shared]}, {"toy": POOL[:10]}, design)


def test_a_question_is_never_its_own_example():
    found = chosen("per_question", 4, pool=ASKED, asked=ASKED)
    assert all(q.question not in {e.question for e in found[q.id]} for q in ASKED)


@pytest.mark.parametrize(
    ("benchmark", "message"),
    [
        ("toy", "num_shots: 21 asked for, but exemplars hold 20 questions for toy$"),
        ("mmlu_medical", "exemplars hold 10 questions for mmlu_medical, [st]$"),
    ],
)
def test_more_shots_than_examples_are_refused(benchmark, message):
    with pytest.raises(ValueError, match=message):
        chosen("fixed", 21, benchmark)


def test_a_question_among_its_examples_leaves_one_fewer():
    with pytest.raises(ValueError, match="hold 3 questions for toy beside question .* itself"):
        chosen("per_question", 4, "toy", ASKED[:4], ASKED[:4])


def test_no_shots_are_no_examples():
    assert set(chosen("fixed", 0).values()) == set(chosen("per_question", 0).values()) == {()}


# --------------------------------------------------------------------------------- variants

FOUR = Question(id="f", question="Which?", options=list("wxyz"), answer=2, context="Text.")


def test_shuffling_moves_the_right_answer_with_its_text():
    shuffled = [eval_fewshot.vary(FOUR, "shuffled", seed) for seed in range(20)]
    assert all(q.options[q.answer] == "y" and sorted(q.options) == list("wxyz") for q in shuffled)
    assert {q.answer for q in shuffled} == {0, 1, 2, 3}


def test_options_only_hides_the_question_and_its_context():
    varied = eval_fewshot.vary(FOUR, "options_only", 0)
    assert (varied.options, varied.answer, varied.context) == (FOUR.options, 2, "")
    assert "Which?" not in varied.question


def test_none_of_the_above_takes_the_place_of_the_right_option():
    varied = eval_fewshot.vary(FOUR, "none_of_the_above", 0)
    assert varied.options == ["w", "x", "None of the above", "z"]
    assert varied.answer == 2


def test_as_given_is_the_question_itself():
    assert eval_fewshot.vary(FOUR, "as_given", 0) is FOUR


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
def test_a_reply_is_read_as_a_person_would(reply, option):
    assert eval_fewshot.read_letter(reply, DRUGS) == option


@pytest.mark.parametrize(
    ("reply", "option"),
    [
        ("B: a beta blocker", 1),
        ("B. a beta blocker", 1),
        ("B a beta blocker", 1),
        ("  C: warfarin", 2),
        ("A beta blocker", 0),  # theirs too: a word that is a capital letter
        ("B", NONE),
        ("B:", NONE),
        ("b: a beta blocker", NONE),
        ("The answer is B", NONE),
        ("F: nothing", NONE),
        ("", NONE),
    ],
)
def test_medalpacas_reader_takes_a_capital_a_mark_and_text(reply, option):
    assert eval_fewshot.read_medalpaca(reply, DRUGS) == option
