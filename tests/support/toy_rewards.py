"""Prompts, replies and a judge for tests of step 07."""

from collections.abc import Callable, Sequence

from clinical_camel.reward_and_rl.shapes import Pair, Prompt, Reply
from clinical_camel.teachers import Comparison, Verdict

FACTS = {  # subject: treatment
    "gout": "colchicine",
    "asthma": "inhaled salbutamol",
    "scabies": "permethrin cream",
    "migraine": "sumatriptan",
    "eczema": "an emollient",
    "tetanus": "immunoglobulin",
}


def make_prompt(subject: str, reference: str | None = None) -> Prompt:
    """Return a question on the treatment of one of FACTS, with the answer as reference."""
    answer = f"{subject.capitalize()} is treated with {FACTS[subject]}."
    return Prompt(
        id=f"{subject}/treatment-1",
        group=subject,
        messages=[{"role": "user", "content": f"How is {subject} treated?"}],
        reference=answer if reference is None else reference,
    )


def make_reply(subject: str, text: str, complete: bool = True) -> Reply:
    return Reply(make_prompt(subject), text, complete)


def make_toy_pairs(count: int) -> list[Pair]:
    """Return pairs in which the reference is preferred to a reply of one word."""
    prompts = [make_prompt(subject) for subject in FACTS]
    texts = ("Nothing.", "Rest.", "Water.")
    return [
        Pair(prompts[i % len(prompts)], prompts[i % len(prompts)].reference, texts[i % 3], "rule")
        for i in range(count)
    ]


class ToyJudge:
    """Prefers the reply with the higher score of a function; a tie if they are equal."""

    name, is_rule = "toy", True

    def __init__(self, score: Callable[[str], float | None]) -> None:
        self.score = score
        self.questions: list[Comparison] = []

    def compare(self, questions: Sequence[Comparison]) -> list[Verdict]:
        self.questions += questions
        return [self._decide(question) for question in questions]

    def _decide(self, question: Comparison) -> Verdict:
        first, second = self.score(question.first), self.score(question.second)
        if first is None or second is None:
            return Verdict(id=question.id, winner="", failure="no JSON")
        winner = "tie" if first == second else "first" if first > second else "second"
        return Verdict(id=question.id, winner=winner)
