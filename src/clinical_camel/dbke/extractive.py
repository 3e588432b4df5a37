"""The rule-based teacher: it copies sentences, so it invents nothing and explains nothing."""

import csv
import itertools
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

from clinical_camel import data, grounding
from clinical_camel.dbke.requests import Request, format_key
from clinical_camel.dbke.retrieval import MAX_ANSWER_WORDS
from clinical_camel.teachers.teacher import Teacher


def _read_questions() -> dict[str, list[str]]:
    """Return questions about a section by a pattern for its heading; the last matches any."""
    questions: dict[str, list[str]] = {}
    with Path(__file__).with_name("questions.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            questions.setdefault(row["heading"], []).append(row["question"])
    return questions


QUESTIONS = _read_questions()
QUESTIONS_WITHOUT_HEADING = ('What does "{title}" say?', 'Can you tell me about "{title}"?')
MAX_NAME_WORDS = 6  # a longer title is not the name of a condition
WHY = ("Why is that the answer?", "Can you say why?", "What supports that?")
OPENERS = ("", "", "Doctor, I have a question. ", "Good morning, doctor. ")


class ExtractiveTeacher(Teacher):
    """Rules, no language model: every assistant sentence is copied from the source.

    It asks about a section and answers with one to three consecutive sentences of the section. It
    works for every article with headings, on any machine, at no cost. It lacks what a language
    model adds: rewording, explaining, asking back. Its dialogues only show the format.
    """

    name = "extractive"

    def write_reply(self, request: Request) -> str:
        rng = random.Random(f"{request.seed}/{request.id}")
        write = self._explain_question if request.question else self._discuss_article
        turns = write(request, rng)
        roles = ("user", "assistant")
        messages = [{"role": roles[i % 2], "content": text} for i, text in enumerate(turns)]
        return json.dumps({"messages": messages}, ensure_ascii=False)

    def _explain_question(self, request: Request, rng: random.Random) -> list[str]:
        turns = [data.format_question(request.question), format_key(request.question)]
        if request.passages:
            turns += [rng.choice(WHY), request.passages[0]]
        return turns

    def _discuss_article(self, request: Request, rng: random.Random) -> list[str]:
        start = request.variant * request.exchanges
        chosen = list(itertools.islice(iter_answers(request), start, start + request.exchanges))
        rng.shuffle(chosen)
        turns = []
        for heading, answer in dict.fromkeys(chosen):
            turns += [ask_about(heading, request.article.title, rng), answer]
        if turns:
            turns[0] = rng.choice(OPENERS) + turns[0]
        return turns


def iter_answers(request: Request) -> Iterator[tuple[str, str]]:
    """Yield (heading, answer) without end, one answer of each section per round.

    When all answers are used, the sections are cut into new answers. Each dialogue on an article
    takes the next few answers, so that together they cover every section.
    """
    for lap in itertools.count():
        rng = random.Random(f"{request.seed}/{request.article.id}/{lap}")
        sections = [
            [(section.heading, answer) for answer in cut_answers(section.text, rng)]
            for section in request.article.sections
        ]
        if not any(sections):
            return
        rng.shuffle(sections)
        for answers in itertools.zip_longest(*sections):
            yield from (answer for answer in answers if answer)


def ask_about(heading: str, title: str, rng: random.Random) -> str:
    """Return a user's question about one section, in one of several wordings.

    Of nested headings ("A > B") the last is used. A heading that is a question is not reworded.

    >>> ask_about("Results > Who is at risk ?", "gout", random.Random(0))
    'Who is at risk?'
    """
    heading = " ".join(heading.rpartition(" > ")[2].split())
    if heading.endswith("?"):
        return heading.rstrip(" ?") + "?"
    if not heading:
        return rng.choice(QUESTIONS_WITHOUT_HEADING).format(title=title)
    is_name = len(title.split()) <= MAX_NAME_WORDS
    matching = (key for key in QUESTIONS if is_name and re.search(key, heading.lower()))
    return rng.choice(QUESTIONS[next(matching, "")]).format(heading=heading, title=title)


def cut_answers(text: str, rng: random.Random) -> list[str]:
    """Cut a text into answers: one to three consecutive sentences, at most MAX_ANSWER_WORDS words.

    A sentence is skipped if it is longer, has fewer than three words, or has no end mark.
    """
    answers, answer, size = [], [], rng.randint(1, 3)
    for sentence in grounding.split_sentences(text):
        is_complete = sentence.rstrip("\"')]")[-1:] in (".", "!", "?")
        usable = is_complete and 3 <= len(sentence.split()) <= MAX_ANSWER_WORDS
        full = len(answer) == size or len(" ".join([*answer, sentence]).split()) > MAX_ANSWER_WORDS
        if answer and (full or not usable):  # a skipped sentence separates two answers
            answers.append(" ".join(answer))
            answer, size = [], rng.randint(1, 3)
        if usable:
            answer.append(sentence)
    return [*answers, " ".join(answer)] if answer else answers
