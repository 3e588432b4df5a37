"""Consultations with their notes, written from facts, and small talk."""

import functools
import random
from dataclasses import dataclass

from clinical_camel.data import Consultation, Dialogue, Turn
from clinical_camel.mini.material import Fact, capitalize, make_slug, read_csv

# For how the patient looks: temperature in tenths of a degree Celsius, pulse in beats a minute.
VITALS = {
    "normal": (range(361, 374), range(58, 93)),
    "fever": (range(379, 395), range(86, 119)),
    "fast": (range(361, 374), range(98, 125)),
}
WORKING_AGE = 65  # nobody of this age is asked about work
# Random details of a visit.
EXTRAS = ("poor sleep", "a loss of appetite", "low energy", "some dizziness", "a mild headache")
DURATIONS = ("two days", "five days", "one week", "three weeks", "two months", "half a year")
MEDICINES = ("paracetamol", "a multivitamin", "ramipril", "metformin", "sertraline", "no medicines")
ALLERGIES = ("penicillin", "latex", "nuts", "no known allergies")
REVIEWS = ("two days", "one week", "two weeks", "a month", "three months")
REMARKS = (
    ("May I ask a few more questions?", "Of course."),
    ("I see. That must be tiring.", "It is, to be honest."),
    ("I will write that down.", "Thank you."),
    ("Would you sit over here, please?", "Like this?"),
)


@dataclass(frozen=True, slots=True)
class Setting:
    """What a visit needs beside the facts: a test with its finding, vital signs, a range of ages.

    `finding` is what the test is to show; it is empty if the test has no single one.
    """

    test: str
    finding: str
    vitals: str
    youngest: int
    oldest: int


@functools.cache
def read_settings() -> dict[str, Setting]:
    """Return the settings of visits.csv by condition: those that an adult could describe."""
    return {
        row["condition"]: Setting(
            row["test"], row["finding"], row["vitals"], int(row["youngest"]), int(row["oldest"])
        )
        for row in read_csv("visits.csv")
    }


def invent_setting(fact: Fact, rng: random.Random) -> Setting:
    """Return the setting of an invented condition; the second half of its test is the finding.

    >>> fact = Fact("x", "", {"investigation": "CT showing blue spots"}, {})
    >>> setting = invent_setting(fact, random.Random(0))
    >>> setting.test, setting.finding
    ('CT', 'blue spots')
    """
    test, _, finding = fact.values["investigation"].partition(" showing ")
    words = test.split()
    if not finding and len(words) > 3 and "of" not in words:
        test, finding = " ".join(words[: len(words) // 2]), " ".join(words[len(words) // 2 :])
    return Setting(test, finding, rng.choice(list(VITALS)), 19, 84)


def choose_history(age: int, presentation: str, rng: random.Random) -> list[tuple[str, str, str]]:
    """Return up to seven questions with an answer and its words in the note.

    Nobody old is asked about work, and nobody about travel whose complaint already tells of it.
    """
    unfit = ["work"] * (age >= WORKING_AGE) + ["travel"] * ("travel" in presentation)
    fitting = [r for r in read_csv("history.csv") if not any(w in r["question"] for w in unfit)]
    chosen = sorted(rng.sample(range(len(fitting)), rng.randint(0, 7)))
    columns = (("answer", "note"), ("other_answer", "other_note"))
    return [
        (row["question"], *(row[name] for name in rng.choice(columns)))
        for row in (fitting[i] for i in chosen)
    ]


def write_consultation(fact: Fact, rng: random.Random) -> Consultation:
    """Return a visit of 18 to 36 turns and its note, whose facts are all in the visit."""
    setting = read_settings().get(fact.condition) or invent_setting(fact, rng)
    age, sex = rng.randint(setting.youngest, setting.oldest), rng.choice(("man", "woman"))
    temperatures, pulses = VITALS[setting.vitals]
    temperature, pulse = rng.choice(temperatures) / 10, rng.choice(pulses)
    duration, extra = rng.choice(DURATIONS), rng.choice(EXTRAS)
    medicine, allergy, review = rng.choice(MEDICINES), rng.choice(ALLERGIES), rng.choice(REVIEWS)
    answers = choose_history(age, fact.values["presentation"], rng)
    remarks = rng.sample(REMARKS, rng.randint(0, 2))
    values = fact.values
    test = setting.test + (f", to look for {setting.finding}" if setting.finding else "")
    exchanges = [
        (
            "Good morning. Please tell me who you are and what brings you in.",
            f"I am a {sex} of {age}. I have had {values['presentation']} for {duration}.",
        ),
        ("Is there anything else?", f"Yes, {extra} as well."),
        *[(question, answer) for question, answer, _ in answers],
        (
            "Do you take any medicines?",
            f"I take {medicine}." if medicine != "no medicines" else "No medicines.",
        ),
        (
            "Any allergies?",
            f"I am allergic to {allergy}." if "known" not in allergy else "None that I know of.",
        ),
    ]
    for remark in remarks:
        exchanges.insert(rng.randint(2, len(exchanges)), remark)
    exchanges += [
        (f"Your temperature is {temperature} and your pulse is {pulse}.", "Is that all right?"),
        (f"I think that you have {fact.condition}.", "What does that come from?"),
        (f"It comes from {values['cause']}.", "What happens now?"),
        (f"I will arrange {test}.", "And after that?"),
        (
            f"The treatment is {values['treatment']}. I will see you again in {review}.",
            "Thank you, doctor.",
        ),
    ]
    turns = [
        Turn(speaker=speaker, text=text)
        for pair in exchanges
        for speaker, text in zip(("doctor", "patient"), pair, strict=True)
    ]
    takes = f"Takes {medicine}." if medicine != "no medicines" else "Takes no medicines."
    details = "".join(f"{words}. " for _, _, words in answers)
    note = (
        f"Subjective:\n{age}-year-old {sex} with {values['presentation']} for {duration}. "
        f"Also {extra}. {details}{takes} "
        f"Allergies: {allergy if 'known' not in allergy else 'none known'}.\n\n"
        f"Objective:\nTemperature {temperature}, pulse {pulse}.\n\n"
        f"Assessment:\n{capitalize(fact.condition)}, from {values['cause']}.\n\n"
        f"Plan:\nArrange {test}. Treatment: {values['treatment']}. Review in {review}."
    )
    return Consultation(
        id=f"visit-{make_slug(fact.condition)}", turns=turns, note=note, group=fact.condition
    )


OPPOSITES = (
    ("hot", "cold"), ("big", "small"), ("early", "late"), ("open", "closed"), ("fast", "slow"),
    ("high", "low"), ("light", "dark"), ("soft", "hard"), ("wet", "dry"), ("old", "young"),
)  # fmt: skip
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def write_chat(index: int, rng: random.Random) -> Dialogue:
    """Return small talk of two exchanges: sums, opposites, days of the week, courtesy."""
    exchanges = []
    for kind in rng.sample(("sum", "opposite", "day", "thanks"), 2):
        a, b = rng.randint(1, 20), rng.randint(1, 20)
        word, other = rng.choice(OPPOSITES)
        day = rng.randrange(7)
        exchanges += {
            "sum": [f"What is {a} plus {b}?", f"{a} plus {b} is {a + b}."],
            "opposite": [f"What is the opposite of {word}?", f"The opposite of {word} is {other}."],
            "day": [
                f"Which day follows {DAYS[day]}?",
                f"{DAYS[(day + 1) % 7]} follows {DAYS[day]}.",
            ],
            "thanks": ["Thank you, that helped.", "I am glad that it helped."],
        }[kind]
    messages = [
        {"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(exchanges)
    ]
    return Dialogue(id=f"chat-{index:03d}", source="chat", messages=messages)
