"""The rule-based teacher: it copies, so nothing is invented, and nothing is explained either."""

import itertools
import json
import random
import re
from collections.abc import Iterator

from clinical_camel import data, grounding
from clinical_camel.dbke.requests import Request
from clinical_camel.dbke.retrieval import MAX_ANSWER_WORDS
from clinical_camel.dbke.synthesis import Teacher

# What a user asks about a section, by the words of its heading; the last entry fits any heading.
ASKS = (
    (
        r"present|symptom|sign|feature|picture",
        (
            "How does {title} usually present?",
            "What would a patient with {title} notice first?",
            "Which symptoms point to {title}?",
        ),
    ),
    (
        r"investigat|diagnos|test|imaging|examin|confirm",
        (
            "How is {title} confirmed?",
            "Which investigation do I need for {title}?",
            "What test would you request for suspected {title}?",
        ),
    ),
    (
        r"treat|manage|therap|prevent|care",
        (
            "How is {title} treated?",
            "What treatment would you start for {title}?",
            "What helps a patient with {title}?",
        ),
    ),
    (
        r"risk|prone|predispos",
        (
            "Who is at risk of {title}?",
            "What raises the risk of {title}?",
            "Which risk factor for {title} should I ask about?",
        ),
    ),
    (
        r"cause|aetiolog|etiolog|mechanism|pathogen|genetic",
        (
            "What causes {title}?",
            "Why do people get {title}?",
            "What is the reason for {title}?",
        ),
    ),
    (
        r"complicat|prognos|outlook|outcome|danger",
        (
            "What can go wrong in {title}?",
            "Which complication of {title} should I know?",
            "What happens if {title} is missed?",
        ),
    ),
    (
        r"",
        (
            'In "{title}": what is there to know about "{heading}"?',
            'What is said about "{heading}" in "{title}"?',
            'Can you tell me about "{heading}", from "{title}"?',
        ),
    ),
)
WITHOUT_HEADING = ('What does "{title}" say?', 'Can you tell me about "{title}"?')
LONG_TITLE = 6  # words; a longer one is the title of a text, not the name of a condition
WHY = ("Why is that the answer?", "Can you say why?", "What supports that?")
OPENERS = ("", "", "Doctor, I have a question. ", "Good morning, doctor. ")


class ExtractiveTeacher(Teacher):
    """Rules and no language model: every assistant sentence is copied from the source.

    It asks about a section and answers with one to three of its consecutive sentences. That gives
    real dialogues about any headed article on any machine, and none of the rewording, explaining
    and bedside manner that a language model adds: it is the floor of the method, not the method.
    """

    name = "extractive"

    def write(self, request: Request) -> str:
        rng = random.Random(f"{request.seed}/{request.id}")
        turns = self._exam(request, rng) if request.question else self._consult(request, rng)
        roles = ("user", "assistant")
        messages = [{"role": roles[i % 2], "content": text} for i, text in enumerate(turns)]
        return json.dumps({"messages": messages}, ensure_ascii=False)

    def _exam(self, request: Request, rng: random.Random) -> list[str]:
        question = request.question
        answer = question.options[question.answer] + "."
        turns = [data.question_text(question), answer]
        return [*turns, rng.choice(WHY), request.passages[0]] if request.passages else turns

    def _consult(self, request: Request, rng: random.Random) -> list[str]:
        start = request.variant * request.exchanges
        chosen = list(itertools.islice(told_in_turn(request), start, start + request.exchanges))
        rng.shuffle(chosen)
        turns = []
        for heading, unit in dict.fromkeys(chosen):
            turns += [ask(heading, request.article.title, rng), unit]
        if turns:
            turns[0] = rng.choice(OPENERS) + turns[0]
        return turns


def told_in_turn(request: Request) -> Iterator[tuple[str, str]]:
    """What there is to tell, as (heading, answer): every section once before any comes again.

    Round after round over the sections in an order of their own, then all of it cut afresh. So the
    dialogues on one article, each taking the next few, leave no section out.
    """
    for lap in itertools.count():
        rng = random.Random(f"{request.seed}/{request.article.id}/{lap}")
        sections = [
            [(section.heading, unit) for unit in answer_units(section.text, rng)]
            for section in request.article.sections
        ]
        if not any(sections):
            return
        rng.shuffle(sections)
        for together in itertools.zip_longest(*sections):
            yield from (unit for unit in together if unit)


def ask(heading: str, title: str, rng: random.Random) -> str:
    """A user's question about one section, in one of several wordings.

    Of nested headings ("A > B") the last counts, and one that is a question is asked as it stands.

    >>> ask("Results > Who is at risk ?", "gout", random.Random(0))
    'Who is at risk?'
    """
    heading = " ".join(heading.rpartition(" > ")[2].split())
    if heading.endswith("?"):
        return heading.rstrip(" ?") + "?"
    if not heading:
        return rng.choice(WITHOUT_HEADING).format(title=title)
    named = len(title.split()) <= LONG_TITLE
    groups = ASKS if named else ASKS[-1:]
    wordings = next(ways for pattern, ways in groups if re.search(pattern, heading.lower()))
    return rng.choice(wordings).format(heading=heading, title=title)


def answer_units(text: str, rng: random.Random) -> list[str]:
    """Runs of one to three consecutive sentences, at most MAX_ANSWER_WORDS words each.

    A sentence that is longer, a stub, or without an end is nothing a person would say: left out.
    """
    units, run, size = [], [], rng.randint(1, 3)
    for sentence in grounding.split_sentences(text):
        whole = sentence.rstrip("\"')]")[-1:] in (".", "!", "?")
        said = whole and 3 <= len(sentence.split()) <= MAX_ANSWER_WORDS
        full = len(run) == size or len(" ".join([*run, sentence]).split()) > MAX_ANSWER_WORDS
        if run and (full or not said):  # sentences on both sides of a gap are two answers
            units.append(" ".join(run))
            run, size = [], rng.randint(1, 3)
        if said:
            run.append(sentence)
    return [*units, " ".join(run)] if run else units
