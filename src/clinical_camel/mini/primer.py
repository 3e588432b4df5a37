"""The primer: texts on invented conditions, the only medicine in the base model's pretraining.

Half of the invented findings are words of the study's articles in random order. The base model
learns to read and copy these words but none of the facts that the study teaches.

A fresh condition appears once, as article, dialogue and exam in one context, which teaches copying.
A fixed set of conditions returns in every pass, in separate contexts, which teaches recall.

`write_replay` writes some of these texts as rows for step 02: a mixture with them forgets less.
"""

import dataclasses
import random
from collections.abc import Iterator, Sequence

from transformers import PreTrainedTokenizerBase

from clinical_camel import data, dbke, eval_fewshot, models, note_synthesis
from clinical_camel.data import Article, Question, Section
from clinical_camel.mini import material, visits

WORDS = material.read_wordings("invented")
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEGHIMNPRST"
LETTER_WEIGHTS = [8, 2, 3, 4, 12, 2, 2, 6, 7, 1, 1, 4, 2, 7, 8, 2, 1, 6, 6, 9, 3, 1, 2, 1, 2, 1]
LETTER_WEIGHTS += [1] * (len(LETTERS) - 26)
REPLAYED = 80  # fixed conditions in the rows for replay
EXAMPLES = 4  # questions in a row of plain text
PLAIN_EXAMS = 30  # rows of plain text


def invent_word(rng: random.Random, syllables: int) -> str:
    """Return a pronounceable word without meaning."""
    parts = [
        rng.choice(WORDS["onset"])
        + rng.choice(WORDS["vowel"])
        + rng.choice(["", rng.choice(WORDS["coda"])])
        for _ in range(syllables)
    ]
    return "".join(parts)


def invent_token(rng: random.Random) -> str:
    """Return a pronounceable word, or letters with the frequencies of English text."""
    if rng.random() < 0.5:
        return invent_word(rng, rng.choice((1, 2, 3)))
    return "".join(rng.choices(LETTERS, LETTER_WEIGHTS, k=rng.randint(2, 10)))


def invent_name(rng: random.Random) -> str:
    stem = invent_word(rng, rng.choice((1, 2, 2, 3)))
    return rng.choice(
        (
            f"{stem.capitalize()} disease",
            f"{stem.capitalize()} syndrome",
            f"{stem}itis",
            f"{stem}osis",
            f"{stem}aemia",
            f"{rng.choice(('acute', 'chronic', 'primary', 'familial'))} {stem}ia",
            f"{rng.choice(WORDS['feeling'])} {stem}",
            f"{stem} {invent_word(rng, 2)}",
        )
    )


def invent_values(rng: random.Random) -> dict[str, str]:
    """Return a value for each attribute of an invented condition."""

    def draw(name: str) -> str:
        return rng.choice(WORDS[name])

    site, drug = draw("site"), invent_word(rng, 2) + draw("drug_end")
    strange = [invent_word(rng, 2) for _ in range(5)]
    return {
        "presentation": rng.choice(
            (
                f"{draw('feeling')} {draw('sign')} of the {site} {draw('when')}",
                f"a {draw('feeling')} {site} with {draw('sign')} {draw('when')}",
                f"{draw('sign')} and {draw('sign')} {draw('when')}",
                f"{strange[0]} {draw('sign')} {draw('when')}",
            )
        ),
        "investigation": rng.choice(
            (
                f"{draw('test')} of the {draw('site')}",
                f"anti-{strange[1]} antibodies",
                f"a {strange[1]} assay",
                f"a raised serum {strange[1]}",
                f"{draw('test')} showing {strange[1]} {draw('sign')}",
            )
        ),
        "treatment": rng.choice(
            (
                f"{draw('route')} {drug}",
                f"{drug} with {invent_word(rng, 2)}{draw('drug_end')}",
                f"{drug}",
                f"removal of the {draw('site')}",
                f"{draw('route')} {drug} and rest",
            )
        ),
        "cause": rng.choice(
            (
                f"{draw('process')} of the {draw('site')}",
                f"{strange[2]} {draw('agent')}",
                f"a {strange[2]} {draw('agent')} in the {draw('site')}",
                f"excess {strange[2]}",
                f"{draw('process')} after {strange[2]} infection",
            )
        ),
        "complication": rng.choice(
            (
                f"{draw('site')} {draw('end')}",
                f"{strange[3]} {draw('end')}",
                f"{draw('end')} of the {draw('site')}",
                f"{draw('feeling')} {strange[3]}",
            )
        ),
        "risk_factor": rng.choice(
            (
                f"work with {strange[4]}",
                f"{draw('habit')} {strange[4]}",
                f"a {strange[4]} diet in childhood",
                f"earlier {draw('end')} of the {draw('site')}",
                f"{strange[4]} in the family",
                f"living near {strange[4]}",
            )
        ),
    }


def invent_detail(rng: random.Random) -> str:
    """Return a sentence that explains an invented fact."""
    sites = rng.sample(WORDS["site"], 2)
    words = {
        "site": sites[0],
        "other": sites[1],
        "sign": rng.choice(WORDS["sign"]),
        "feeling": rng.choice(WORDS["feeling"]),
        "process": rng.choice(WORDS["process"]),
        "agent": rng.choice(WORDS["agent"]),
        "strange": invent_word(rng, 2),
        "when": rng.choice(WORDS["when"]),
    }
    return material.capitalize(rng.choice(WORDS["detail"]).format(**words))


def invent_fact(rng: random.Random) -> material.Fact:
    """Return an invented condition: a value and an explanation for each attribute."""
    name, values = invent_name(rng), invent_values(rng)
    details = {attribute: invent_detail(rng) for attribute in material.ATTRIBUTES}
    for attribute in material.ATTRIBUTES:  # half in the study's words, in random order
        if rng.random() < 0.5:
            values[attribute] = " ".join(rng.sample(material.list_words(), rng.randint(2, 6)))
        if rng.random() < 0.5:
            detail = " ".join(rng.sample(material.list_words(), rng.randint(7, 12)))
            details[attribute] = material.capitalize(detail) + "."
    return material.Fact(name, "invented", values, details)


def invent_fixed_facts(seed: int, count: int) -> list[material.Fact]:
    """Return the first `count` fixed conditions, which return in every pass."""
    rng = random.Random(seed)
    return [invent_fact(rng) for _ in range(count)]


class Writer:
    """Writes the texts of the primer from invented facts, with one random generator."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, pool: Sequence[material.Fact], seed: int
    ):
        self.tokenizer = tokenizer
        self.pool = pool
        self.rng = random.Random(seed)
        self.teacher = dbke.ExtractiveTeacher()
        self.count = 0

    def _render_chat(self, messages: Sequence[data.Message]) -> str:
        return models.render_chat(self.tokenizer, messages, generation=False)

    def _render_text(self, text: str) -> str:
        return f"{self.tokenizer.bos_token}{text}{self.tokenizer.eos_token}"

    def write_article(self, fact: material.Fact) -> str:
        article = material.write_article(fact, self.rng, material.ATTRIBUTES)
        return self._render_text(data.format_article(article))

    def write_lesson(self, fact: material.Fact) -> list[str]:
        """Return one or two sections of an article, their dialogue and their exam questions."""
        full = material.write_article(fact, self.rng, material.ATTRIBUTES)
        chosen = self.rng.sample(range(len(full.sections)), self.rng.choice((1, 1, 2)))
        sections = [full.sections[i] for i in chosen]
        article = Article(id=full.id, title=full.title, sections=sections)
        questions = self.write_questions([fact])
        return [
            self._render_text(data.format_article(article)),
            self._write_dialogue(article),
            *[self.write_exam(questions[i]) for i in chosen],
        ]

    def write_dialogue(self, fact: material.Fact) -> str:
        return self._write_dialogue(material.write_article(fact, self.rng, material.ATTRIBUTES))

    def _write_dialogue(self, article: Article) -> str:
        self.count += 1
        request = dbke.Request(id=f"primer/{self.count}", article=article, exchanges=6, seed=0)
        dialogue, reason = dbke.parse_reply(self.teacher.write_reply(request), request)
        assert dialogue, reason
        return self._render_chat(dialogue.messages)

    def write_questions(self, facts: Sequence[material.Fact]) -> list[Question]:
        return material.write_questions(facts, self.pool, self.rng.random())

    def write_exam(self, question: Question) -> str:
        """Return one question with its answer, in one of the three protocols of the exam."""
        name = self.rng.choice(
            ("option_text", "option_text", "option_text", "letter", "chat", "chat")
        )
        protocol = eval_fewshot.PROTOCOLS[name]
        prompt = eval_fewshot.build_prompt(question, [], protocol, self.tokenizer)
        answer = eval_fewshot.list_continuations(question, protocol)[question.answer]
        text = prompt + answer + self.tokenizer.eos_token
        return text if protocol.chat else self.tokenizer.bos_token + text

    def write_few_shot_exam(self, questions: Sequence[Question]) -> str:
        """Return the last question with its answer, after the others as few-shot examples."""
        *examples, last = questions
        protocol = eval_fewshot.PROTOCOLS["option_text"]
        prompt = eval_fewshot.build_prompt(last, examples, protocol)
        return self._render_text(
            prompt + eval_fewshot.list_continuations(last, protocol)[last.answer]
        )

    def write_visit(self, fact: material.Fact) -> str:
        """Return a request for a note of an invented visit, and the note."""
        visit = visits.write_consultation(fact, self.rng)
        note = {"role": "assistant", "content": visit.note}
        return self._render_chat([*note_synthesis.build_messages(visit), note])

    def write_repetition(self) -> str:
        """Return repeated meaningless words, from which a small model learns copying fastest."""
        count = self.rng.randint(4, 24)
        real = self.rng.random() < 0.5
        invented = (invent_token(self.rng) for _ in range(count))
        text = " ".join(self.rng.sample(material.list_words(), count) if real else invented)
        if self.rng.random() < 0.5:
            return self._render_text("\n".join([text] * self.rng.randint(2, 4)))
        request = {"role": "user", "content": f"Please repeat: {text}"}
        return self._render_chat([request, {"role": "assistant", "content": text}])

    def write_small_talk(self) -> str:
        return self._render_chat(visits.write_chat(0, self.rng).messages)


def iter_lessons(tokenizer: PreTrainedTokenizerBase, count: int, seed: int) -> Iterator[list[str]]:
    """Yield short contexts: one or two facts of a fresh condition as text, dialogue and exam.

    They come first in pretraining. In a short context almost every word repeats an earlier one, so
    a small model learns to copy; with long contexts alone it needed several times as much text.
    """
    rng = random.Random(seed)
    writer = Writer(tokenizer, [invent_fact(rng) for _ in range(100)], seed + 1)
    for _ in range(count):
        if rng.random() < 0.4:
            yield [writer.write_repetition()]
        else:
            yield writer.write_lesson(invent_fact(rng))


def iter_primer(
    tokenizer: PreTrainedTokenizerBase,
    fixed: int,
    fresh: int,
    exam_share: float,
    passes: int,
    seed: int,
) -> Iterator[list[str]]:
    """Yield contexts, each a list of texts, for `passes` passes.

    A pass has every fixed condition as article or dialogue, and `exam_share` of their questions, in
    separate contexts. It also has `fresh` new conditions: half with all their texts in one context,
    half as a visit. The fixed conditions return until the model recalls them. A base model without
    this practice does not learn from tuning to recall in an exam what it read in a dialogue.
    """
    fixed_facts = invent_fixed_facts(seed, fixed)
    rng = random.Random(seed + 2)
    writer = Writer(tokenizer, fixed_facts, seed + 1)
    for _ in range(passes):
        contexts: list[list[str]] = []
        questions = writer.write_questions(fixed_facts)
        for fact in fixed_facts:
            write = writer.write_article if rng.random() < 0.5 else writer.write_dialogue
            contexts.append([write(fact)])
        for question in rng.sample(questions, int(len(questions) * exam_share)):
            contexts.append([writer.write_exam(question)])
        for _ in range(8):
            few = rng.sample(questions, rng.randint(3, 6))
            contexts.append([writer.write_few_shot_exam(few)])
            contexts.append([writer.write_small_talk()])
            contexts.append([writer.write_repetition()])
        for i in range(fresh):
            fact = invent_fact(rng)
            if i % 2:
                contexts.append([writer.write_visit(fact)])
                continue
            exams = [writer.write_exam(q) for q in writer.write_questions([fact])]
            texts = [writer.write_article(fact), writer.write_dialogue(fact)]
            contexts.append([*texts, *rng.sample(exams, 3)])
        rng.shuffle(contexts)
        yield from contexts


def write_replay(seed: int, examined: int) -> list[data.Dialogue | Article]:
    """Return rows on fixed conditions of the primer, to mix into a training (replay).

    Two rows for each of REPLAYED conditions, in new wordings: an article and a dialogue. The first
    `examined` are those of `mini_exam_primer`: no row has an exam question on them. Of each other
    condition, one exam question is a conversation. More of their questions are plain text, solved,
    EXAMPLES in a row: an `Article` whose text is that of the protocol `option_text`.
    """
    facts, rng = invent_fixed_facts(seed, REPLAYED), random.Random(f"{seed}/replay")
    rows: list[data.Dialogue | Article] = []
    for number, fact in enumerate(facts):
        rows += _replay_condition(fact, f"primer-{number:02d}", rng)
    others = facts[examined:]
    questions = material.write_questions(others, others, rng.random())
    count = len(material.ATTRIBUTES)
    spoken = [rng.randrange(count) for _ in others]
    for n, attribute in enumerate(spoken):
        question, name = questions[n * count + attribute], f"primer-{examined + n:02d}"
        turns = (data.format_question(question), question.options[question.answer])
        rows.append(_make_dialogue(f"{name}/question", turns))
    rest = [q for k, q in enumerate(questions) if k % count != spoken[k // count]]
    drawn = rng.sample(rest, PLAIN_EXAMS * EXAMPLES)
    groups = [drawn[k : k + EXAMPLES] for k in range(0, len(drawn), EXAMPLES)]
    return rows + [_replay_exam(group, n) for n, group in enumerate(groups)]


def _replay_condition(
    fact: material.Fact, name: str, rng: random.Random
) -> list[data.Dialogue | Article]:
    """Return an article on a condition, and a dialogue on another wording of it."""
    article, source = (material.write_article(fact, rng, material.ATTRIBUTES) for _ in range(2))
    request = dbke.Request(id=f"{name}/dialogue", article=source, exchanges=6, seed=0)
    dialogue, reason = dbke.parse_reply(dbke.ExtractiveTeacher().write_reply(request), request)
    assert dialogue, reason
    return [dataclasses.replace(article, id=f"{name}/article", group=name), dialogue]


def _make_dialogue(name: str, turns: Sequence[str]) -> data.Dialogue:
    roles = ("user", "assistant")
    messages = [{"role": r, "content": text} for r, text in zip(roles, turns, strict=True)]
    return data.Dialogue(id=name, source="article", messages=messages)


def _replay_exam(questions: Sequence[Question], number: int) -> Article:
    """Return solved questions as plain text; the title is the first one, with its answer."""
    protocol = eval_fewshot.PROTOCOLS["option_text"]
    texts = [
        eval_fewshot.build_prompt(q, [], protocol)
        + eval_fewshot.list_continuations(q, protocol)[q.answer]
        for q in questions
    ]
    first, *others = texts
    sections = [Section(heading="", text=text) for text in others]
    return Article(
        id=f"primer-exam-{number:02d}", title=first, sections=sections, licence=material.LICENCE
    )
