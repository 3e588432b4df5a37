"""Consultations with their notes, written from facts, and small talk."""

import random

from clinical_camel.data import Consultation, Dialogue, Turn
from clinical_camel.mini.material import Fact, capitalize, make_slug

# Conditions whose presentation an adult of any age could describe in these words.
VISIT_CONDITIONS = (
    "stable angina", "asthma", "tuberculosis", "bronchiectasis", "ulcerative colitis",
    "iron deficiency anaemia", "Hodgkin lymphoma", "Graves disease", "Hashimoto thyroiditis",
    "Addison disease", "phaeochromocytoma", "primary hyperparathyroidism", "hypoparathyroidism",
    "diabetes insipidus", "Parkinson disease", "myasthenia gravis", "carpal tunnel syndrome",
    "rheumatoid arthritis", "ankylosing spondylitis", "giant cell arteritis", "osteoarthritis",
    "renal colic", "psoriasis", "scabies", "dermatitis herpetiformis", "cataract",
    "Meniere disease", "benign positional vertigo", "rotator cuff tear", "malaria",
    "coeliac disease", "Lyme disease", "pernicious anaemia", "anterior uveitis",
)  # fmt: skip
# Random details of a visit.
EXTRAS = ("poor sleep", "a loss of appetite", "low energy", "some dizziness", "a mild headache")
DURATIONS = ("two days", "five days", "one week", "three weeks", "two months", "half a year")
MEDICINES = ("paracetamol", "a multivitamin", "ramipril", "metformin", "sertraline", "no medicines")
ALLERGIES = ("penicillin", "latex", "nuts", "no known allergies")
REVIEWS = ("two days", "one week", "two weeks", "a month", "three months")
# A question of the doctor, then two possible answers, each with its words in the note.
HISTORY = (
    ("Did it begin slowly or all at once?",
     ("Slowly.", "Began slowly"), ("All at once.", "Began suddenly")),
    ("Is it getting better or worse?",
     ("Worse.", "Getting worse"), ("About the same.", "Unchanged since")),
    ("Does it stop you from working?",
     ("Yes, I stayed at home.", "Off work"), ("No, I manage.", "Still at work")),
    ("Do you smoke?", ("Yes, ten a day.", "Smokes ten a day"), ("No, never.", "Has never smoked")),
    ("Do you drink alcohol?",
     ("A glass of wine on Sundays.", "A glass of wine on Sundays"),
     ("None at all.", "No alcohol")),
    ("Have you been in hospital before?",
     ("Once, for a broken arm.", "Once in hospital for a broken arm"),
     ("No, this is new to me.", "Never in hospital")),
    ("Is there an illness in your family?",
     ("My father had heart trouble.", "Father had heart trouble"),
     ("Nothing that I know of.", "No family illness known")),
    ("Who is at home with you?",
     ("I live with my wife and son.", "Lives with wife and son"),
     ("I live alone.", "Lives alone")),
    ("What work do you do?",
     ("I drive a bus.", "Drives a bus"), ("I teach at a school.", "Teaches at a school")),
    ("Have you travelled lately?",
     ("I came back from Spain in May.", "Back from Spain in May"),
     ("No, not for years.", "No recent travel")),
)  # fmt: skip
REMARKS = (
    ("May I ask a few more questions?", "Of course."),
    ("I see. That must be tiring.", "It is, to be honest."),
    ("I will write that down.", "Thank you."),
    ("Would you sit over here, please?", "Like this?"),
)


def write_consultation(fact: Fact, rng: random.Random) -> Consultation:
    """Return a visit of 18 to 36 turns and its note, whose facts are all in the visit."""
    age, sex = rng.randint(19, 84), rng.choice(("man", "woman"))
    pulse, temperature = rng.randint(58, 118), rng.randint(361, 391) / 10
    duration, extra = rng.choice(DURATIONS), rng.choice(EXTRAS)
    medicine, allergy, review = rng.choice(MEDICINES), rng.choice(ALLERGIES), rng.choice(REVIEWS)
    history = sorted(rng.sample(range(len(HISTORY)), rng.randint(0, 7)))
    answers = [(HISTORY[i][0], *rng.choice(HISTORY[i][1:])) for i in history]
    remarks = rng.sample(REMARKS, rng.randint(0, 2))
    values = fact.values
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
        (f"I will arrange {values['investigation']}.", "And after that?"),
        (
            f"We start {values['treatment']}. I will see you again in {review}.",
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
        f"Plan:\nArrange {values['investigation']}. Start {values['treatment']}. "
        f"Review in {review}."
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
