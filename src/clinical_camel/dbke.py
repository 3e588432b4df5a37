"""Step 01: articles and training questions become synthetic dialogues (DBKE).

Dialogue-based knowledge encoding has a *teacher* rewrite a dense text as a conversation. Here the
teacher is one object with one method, `write(request) -> raw reply`: the reply is kept before it is
parsed, checked afterwards, and set aside with its reason if a check fails. So
accepted + set aside = requested, whoever the teacher is.
"""

import hashlib
import itertools
import json
import random
import re
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from tqdm import tqdm

from clinical_camel import data, grounding
from clinical_camel.data import Article, Dialogue, Question

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
MAX_ANSWER_WORDS = 70


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One dialogue to write: from `article`, or from `question` with `passages` that support it."""

    id: str
    exchanges: int
    seed: int
    article: Article | None = None
    variant: int = 0
    question: Question | None = None
    passages: tuple[str, ...] = ()

    @property
    def source_text(self) -> str:
        """All the text that an assistant sentence may be taken from."""
        if self.question:
            return "\n".join((self.question.options[self.question.answer] + ".", *self.passages))
        return "\n".join(section.text for section in self.article.sections)


class Teacher(Protocol):
    """Writes one dialogue: a JSON object `{"messages": [{"role", "content"}, ...]}` as text."""

    name: str

    def write(self, request: Request) -> str: ...


class ExtractiveTeacher:
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
        return [*turns, rng.choice(WHY), " ".join(request.passages)] if request.passages else turns

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


TEACHERS = {"extractive": ExtractiveTeacher}


def source_table(articles: Sequence[Article]) -> pd.DataFrame:
    """What there is to learn from, by licence: articles, sections, sentences, words."""
    rows: dict[str, Counter] = {}
    for article in articles:
        text = " ".join(section.text for section in article.sections)
        counts = rows.setdefault(article.licence or "not stated", Counter())
        counts.update(
            articles=1,
            sections=len(article.sections),
            sentences=len(grounding.split_sentences(text)),
            words=len(text.split()),
        )
    return pd.DataFrame({"licence": name, **counts} for name, counts in rows.items())


def excerpt(article: Article, words: int = 150) -> str:
    """The first words of an article as plain text, wrapped for reading."""
    text = data.article_text(article).split("\n")
    kept, count = [], 0
    for line in text:
        tokens = line.split()[: max(0, words - count)]
        count += len(tokens)
        kept.append(textwrap.fill(" ".join(tokens), 100))
        if count >= words:
            return "\n".join([*kept, "..."])
    return "\n".join(kept)


def load_teacher(name: str) -> Teacher:
    """The teacher of that name; ValueError names the choices."""
    if name not in TEACHERS:
        raise ValueError(f"teacher: {name!r} is not one of {', '.join(TEACHERS)}")
    return TEACHERS[name]()


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


def plan_requests(
    articles: Sequence[Article],
    questions: Sequence[Question],
    dialogues_per_article: int,
    exchanges_per_dialogue: int,
    seed: int,
) -> list[Request]:
    """Everything that will be asked of the teacher, in a fixed order with fixed ids."""
    requests = [
        Request(
            id=f"{article.id}/{variant}",
            article=article,
            variant=variant,
            exchanges=exchanges_per_dialogue,
            seed=seed,
        )
        for article in articles
        for variant in range(dialogues_per_article)
    ]
    passages = support(questions, articles)
    requests += [
        Request(id=question.id, question=question, passages=found, exchanges=2, seed=seed)
        for question, found in zip(questions, passages, strict=True)
    ]
    twice = [name for name, count in Counter(r.id for r in requests).items() if count > 1]
    if twice:
        raise ValueError(f"articles, questions: the same id in two sets: {', '.join(twice[:5])}")
    return requests


def fingerprint(requests: Sequence[Request]) -> str:
    """A hash of everything that is asked of the teacher: which replies may be used again."""
    digest = hashlib.sha256()
    for request in requests:
        digest.update(repr(request).encode())
    return digest.hexdigest()[:16]


def support(questions: Sequence[Question], articles: Sequence[Article]) -> list[tuple[str, ...]]:
    """For each question the article sentence that best supports its right answer, or nothing."""
    sentences = [
        sentence
        for article in articles
        for section in article.sections
        for sentence in grounding.split_sentences(section.text)
        if 4 <= len(sentence.split()) <= MAX_ANSWER_WORDS
    ]
    claims = [(q.question, q.options[q.answer]) for q in questions]
    return [(found,) if found else () for found in grounding.best_support(claims, sentences)]


def synthesise(
    requests: Sequence[Request], teacher: Teacher, journal, min_exchanges: int
) -> tuple[list[Dialogue], pd.DataFrame]:
    """All dialogues that pass, and a table (id, source, reason) of those set aside.

    `journal` (`runs.Journal`: `done`, `append`) holds each raw reply before it is parsed, so that
    a killed run asks for none of them twice.
    """
    dialogues, aside, seen = [], [], set()
    for request in tqdm(requests, desc=f"{teacher.name} teacher", unit="dialogue", file=sys.stdout):
        if request.id not in journal.done:
            journal.append(request.id, {"raw": teacher.write(request)})
        dialogue, reason = read_reply(journal.done[request.id]["raw"], request)
        reason = reason or check_dialogue(dialogue, request, min_exchanges)
        content = json.dumps(dialogue.messages) if dialogue else ""
        if not reason and content in seen:
            reason = "same as an earlier dialogue"
        seen.add(content)
        if reason:
            aside.append({"id": request.id, "source": _source(request), "reason": reason})
        else:
            dialogues.append(dialogue)
    return dialogues, pd.DataFrame(aside, columns=["id", "source", "reason"])


def _source(request: Request) -> str:
    return "exam" if request.question else "article"


def read_reply(raw: str, request: Request) -> tuple[Dialogue | None, str]:
    """The dialogue in a raw reply and no reason, or nothing and the reason why there is none."""
    try:
        messages = json.loads(raw)["messages"]
        messages = [{"role": m["role"], "content": m["content"]} for m in messages]
    except (ValueError, TypeError, KeyError) as error:
        return None, f"reply is not a JSON dialogue ({type(error).__name__})"
    return Dialogue(id=request.id, source=_source(request), messages=messages), ""


def check_dialogue(dialogue: Dialogue, request: Request, min_exchanges: int) -> str:
    """The first reason to set a dialogue aside; empty when there is none.

    A dialogue written to an exam question needs a passage that supports its key: without one
    there would be an answer and no medicine to learn.
    """
    roles = [m["role"] for m in dialogue.messages]
    if roles != ["user", "assistant"] * (len(roles) // 2) or not roles:
        return "turns do not alternate user, assistant"
    if any(
        not isinstance(m["content"], str) or not m["content"].strip() for m in dialogue.messages
    ):
        return "empty turn"
    if request.question and not request.passages:
        return "no supporting passage found"
    if len(roles) // 2 < (2 if request.question else min_exchanges):
        return f"fewer than {2 if request.question else min_exchanges} exchanges"
    said = [m["content"] for m in dialogue.messages if m["role"] == "assistant"]
    if any(grounding.unsupported(text, request.source_text) for text in said):
        return "an assistant sentence is not in the source"
    return ""


def dialogue_table(dialogues: Sequence[Dialogue]) -> pd.DataFrame:
    """One row a dialogue: id, source, exchanges, user_words, assistant_words, content_hash."""
    return pd.DataFrame(
        {
            "id": d.id,
            "source": d.source,
            "exchanges": len(d.messages) // 2,
            "user_words": _words(d, "user"),
            "assistant_words": _words(d, "assistant"),
            "content_hash": data.content_hash(d),
        }
        for d in dialogues
    )


def _words(dialogue: Dialogue, role: str) -> int:
    return sum(len(m["content"].split()) for m in dialogue.messages if m["role"] == role)


def summarise(
    table: pd.DataFrame, aside: pd.DataFrame, requests: Sequence[Request]
) -> pd.DataFrame:
    """Requested = accepted + set aside, by source, with mean exchanges and assistant words."""
    requested = Counter(_source(request) for request in requests)
    rows = []
    for source, count in requested.items():
        kept = table[table["source"] == source] if len(table) else table
        rows.append(
            {
                "source": source,
                "requested": count,
                "accepted": len(kept),
                "set_aside": int((aside["source"] == source).sum()),
                "mean_exchanges": kept["exchanges"].mean() if len(kept) else float("nan"),
                "mean_assistant_words": kept["assistant_words"].mean()
                if len(kept)
                else float("nan"),
            }
        )
    return pd.DataFrame(rows)


def plot_lengths(table: pd.DataFrame) -> Figure:
    """Histogram of assistant words a dialogue, by source."""
    figure, axes = plt.subplots(figsize=(7, 3))
    sns.histplot(table, x="assistant_words", hue="source", multiple="stack", bins=30, ax=axes)
    axes.set(xlabel="assistant words in a dialogue", ylabel="dialogues")
    return figure


def transcript(dialogue: Dialogue) -> str:
    """A dialogue as plain text for reading: speaker in the margin, long turns wrapped."""
    margin = " " * 11
    return "\n".join(
        textwrap.fill(
            line,
            100,
            initial_indent=f"{m['role']:>9}: " if i == 0 else margin,
            subsequent_indent=margin,
        )
        for m in dialogue.messages
        for i, line in enumerate(m["content"].splitlines())
    )
