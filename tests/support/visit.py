"""A small consultation for tests of grounding."""

from types import SimpleNamespace


def visit(*lines: str) -> list[SimpleNamespace]:
    """Return turns from lines "D: ..." and "P: ..."."""
    return [SimpleNamespace(speaker=line[0], text=line[3:]) for line in lines]


VISIT = visit(
    "D: Roger is a 62-year-old male. What brings you in, sir?",
    "P: I've had this cough for about two weeks, and my left knee hurts.",
    "D: Any fever, or trouble breathing?",
    "P: No, nothing like that.",
    "D: Are you taking anything?",
    "P: Just Tylenol, and the lisinopril.",
    "D: Okay, lisinopril, twenty M G once a day. Start naproxen 500 milligrams twice a day.",
    "P: Thank you.",
)  # fmt: skip
