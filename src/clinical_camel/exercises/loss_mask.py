"""Exercises of step 02: the size of LoRA matrices, a shifted loss mask, the BOS token."""

from collections.abc import Callable, Sequence

import numpy as np

from clinical_camel import data, models
from clinical_camel.data import Message
from clinical_camel.exercises import base_model
from clinical_camel.exercises.feedback import (
    OPEN,
    RIGHT,
    WRONG,
    AnswerError,
    Feedback,
    grade_function,
)
from clinical_camel.models import IGNORE_INDEX, Pair

RANK, INPUTS, OUTPUTS = 64, 128, 384  # of the shipped base: rank of mini_camel, its `up_proj`
BOS_QUESTIONS = 20
DIALOGUE: list[Message] = [
    {"role": "user", "content": "What causes gout?"},
    {"role": "assistant", "content": "Crystals of uric acid in a joint."},
    {"role": "user", "content": "What helps?"},
    {"role": "assistant", "content": "Naproxen."},
]


def tokenize_example() -> dict[str, list[int]]:
    """Return `input_ids` and `labels` of DIALOGUE, with loss on the assistant's turns."""
    tokenizer = base_model.load_base_model().tokenizer
    return models.tokenize_dialogue(tokenizer, DIALOGUE, "assistant")


def list_targets(labels: Sequence[int]) -> list[str]:
    """Return the tokens that have loss, as text."""
    tokenizer = base_model.load_base_model().tokenizer
    return [tokenizer.decode([label]) for label in labels if label != IGNORE_INDEX]


def grade_lora_size(answer: object) -> Feedback:
    """Grade the number of parameters that LoRA trains for one layer."""
    if answer is None or answer == "" or answer == 0:
        return Feedback(OPEN, "Write a number first.")
    if isinstance(answer, bool) or not isinstance(answer, int | float):
        return Feedback(WRONG, "Write a number, without quotes.")
    truth = RANK * INPUTS + OUTPUTS * RANK
    reasons = {
        INPUTS * OUTPUTS: "That is the frozen matrix W. LoRA trains A and B instead.",
        RANK * INPUTS: "That is A alone. B, with outputs x rank numbers, is trained too.",
        OUTPUTS * RANK: "That is B alone. A, with rank x inputs numbers, is trained too.",
        RANK * INPUTS * OUTPUTS: "A and B are multiplied, so their sizes add: do not multiply all.",
        INPUTS + OUTPUTS: "That is one row of A and one column of B: the rank is missing.",
        RANK**2: "A and B are not square: each has one long side.",
        2 * RANK * (INPUTS + OUTPUTS): "Each matrix counts once: do not double the sum.",
        truth + INPUTS * OUTPUTS: "W is frozen, so it does not count.",
    }
    if answer == truth:
        share = truth / (INPUTS * OUTPUTS)
        return Feedback(
            RIGHT,
            f"A has {RANK} x {INPUTS} numbers and B {OUTPUTS} x {RANK}. That is {share:.0%} of W: "
            "in a layer so small, LoRA saves little. In a layer of 8192 x 8192 it would be "
            f"{2 * RANK / 8192:.1%}.",
        )
    hint = reasons.get(int(answer), "A is rank x inputs, B is outputs x rank. Add their sizes.")
    return Feedback(WRONG, hint)


def grade_shifted_mask(function: Callable) -> Feedback:
    """Grade `function(input_ids, labels)`, which moves the mask one token towards the start."""
    return grade_function(function, _grade_shift)


def shift_labels(ids: Sequence[int], labels: Sequence[int], by: int) -> list[int]:
    """Return labels whose mask is moved by some tokens; below 0 is towards the start."""
    is_target = [label != IGNORE_INDEX for label in labels]
    count = len(ids)
    return [
        ids[i] if 0 <= i - by < count and is_target[i - by] else IGNORE_INDEX for i in range(count)
    ]


def _grade_shift(shift: Callable) -> Feedback:
    example = tokenize_example()
    ids, labels = example["input_ids"], example["labels"]
    result = shift(list(ids), list(labels))
    values = list(result) if isinstance(result, Sequence | np.ndarray) else []
    if len(values) != len(ids):
        raise AnswerError(f"Return one label per token: {len(ids)} labels, not {len(values)}.")
    expected = shift_labels(ids, labels, -1)
    if values == labels:
        return Feedback(WRONG, "The mask has not moved.")
    if values == shift_labels(ids, labels, 1):
        return Feedback(
            WRONG,
            "This is the other direction: the first token of each answer lost its loss, and the "
            "end token still has it. Move the mask towards the start.",
        )
    if values == [*labels[1:], IGNORE_INDEX]:
        return Feedback(
            WRONG,
            "You moved the labels. Then the model would learn to write each token one place too "
            "early. Move only the mask: a label must be the token at its own position.",
        )
    if values != expected:
        wrong = next(
            i for i, (v, right) in enumerate(zip(values, expected, strict=True)) if v != right
        )
        token = list_targets([ids[wrong]])[0]
        state = "no loss" if expected[wrong] == IGNORE_INDEX else "loss"
        return Feedback(WRONG, f"Token {wrong} ({token!r}) must have {state}.")
    before, after = (base_model.mean_loss(ids, rows) for rows in (labels, expected))
    return Feedback(
        RIGHT,
        "No answer's end token </s> has loss any more, and <|assistant|> has. The mean loss of "
        f"the base model is {before:.2f} before and {after:.2f} after: the number alone does not "
        "show the mistake. A model trained like this would never learn to stop.",
    )


def grade_bos(drop: Callable, double: Callable) -> Feedback:
    """Grade two functions of token ids and the BOS id; then measure what both do to answers."""
    return grade_function(drop, lambda one: grade_function(double, lambda two: _grade(one, two)))


def _grade(drop: Callable, double: Callable) -> Feedback:
    cases = {
        "with BOS": ([1, 5, 6], [5, 6], [1, 1, 5, 6]),
        "without BOS": ([5, 6], [5, 6], [1, 1, 5, 6]),
        "with BOS inside": ([1, 5, 1, 6], [5, 1, 6], [1, 1, 5, 1, 6]),
    }
    for name, (ids, dropped, doubled) in cases.items():
        for label, function, right in (("drop", drop, dropped), ("double", double, doubled)):
            if (result := list(function(list(ids), 1))) != right:
                raise AnswerError(
                    f"Tokens {ids} ({name}), BOS is 1: your {label} returns {result}, it should "
                    f"return {right}. Only the start of the text counts."
                )
    return Feedback(RIGHT, measure_bos(drop, double))


def measure_bos(drop: Callable, double: Callable) -> str:
    """Return in a sentence how the base model answers if BOS is missing or doubled."""
    llm = base_model.load_base_model()
    questions = data.load_questions("mini_exam_primer")[:BOS_QUESTIONS]
    bos = llm.tokenizer.bos_token_id
    pairs = [
        models.tokenize_pair(llm.tokenizer, base_model.format_prompt(q), f" {option}")
        for q in questions
        for option in q.options
    ]
    chosen, means = {}, {}
    for name, edit in {"one": None, "no": drop, "two": double}.items():
        edited = [
            Pair(tuple(edit(list(p.context), bos)), p.continuation) if edit else p for p in pairs
        ]
        scores = np.array(base_model.score_pairs(edited))
        ends = np.cumsum([len(q.options) for q in questions])[:-1]
        chosen[name] = [int(part.argmax()) for part in np.split(scores, ends)]
        means[name] = scores.mean()
    changed = {
        name: sum(a != b for a, b in zip(chosen["one"], chosen[name], strict=True))
        for name in ("no", "two")
    }
    return (
        f"Without BOS, {changed['no']} of {len(questions)} answers change, and the mean "
        f"log-likelihood of an option changes by {means['no'] - means['one']:+.2f} nats. With two, "
        f"{changed['two']} change, and it changes by {means['two'] - means['one']:+.2f} nats. "
        "Nothing fails: such a mistake only shows if somebody counts the BOS tokens."
    )
