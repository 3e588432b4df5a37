"""The primer: texts on invented conditions, the only medicine in the base model's pretraining.

Half of the invented findings are words of the study's articles in random order. The base model
learns to read and copy these words but none of the facts that the study teaches.

A fresh condition appears once, as article, dialogue and exam in one context, which teaches copying.
A fixed set of conditions returns in every pass, in separate contexts, which teaches recall.
"""

import random
from collections.abc import Iterator, Sequence

from transformers import PreTrainedTokenizerBase

from clinical_camel import data, dbke, eval_fewshot, models, note_synthesis
from clinical_camel.data import Article, Question
from clinical_camel.mini import material, visits

ONSETS = [
    "b", "bl", "br", "c", "cl", "cr", "d", "dr", "f", "fl", "fr", "g", "gl", "gr", "h", "j", "k",
    "l", "m", "n", "p", "pl", "pr", "qu", "r", "s", "sc", "sp", "st", "t", "th", "tr", "v", "w",
    "x", "z",
]  # fmt: skip
VOWELS = ["a", "e", "i", "o", "u", "ae", "ia", "io", "ou", "y"]
CODAS = [
    "n", "r", "s", "l", "m", "x", "nd", "rt", "st", "ll", "ck", "ss", "th", "ng", "mp", "t", "d",
]  # fmt: skip
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEGHIMNPRST"
LETTER_WEIGHTS = [8, 2, 3, 4, 12, 2, 2, 6, 7, 1, 1, 4, 2, 7, 8, 2, 1, 6, 6, 9, 3, 1, 2, 1, 2, 1]
LETTER_WEIGHTS += [1] * (len(LETTERS) - 26)
SITES = (
    "left heel", "scalp", "lower back", "inner ear", "knee", "small bowel", "throat", "thumb",
    "upper jaw", "hip", "eyelid", "forearm", "spleen", "tongue", "ankle", "neck", "bladder",
    "liver", "shoulder", "gums", "palm", "chest wall", "calf", "brain stem", "marrow",
)  # fmt: skip
FEELINGS = (
    "burning", "dull", "cold", "tight", "tender", "itchy", "swollen", "numb", "stiff", "pale",
    "throbbing", "dry", "mottled", "heavy", "spreading", "brittle", "waxy", "blue", "trembling",
)  # fmt: skip
SIGNS = (
    "pain", "swelling", "rash", "weakness", "cramp", "blisters", "stiffness", "ulcers", "nodules",
    "tingling", "bleeding", "twitching", "spots", "fever", "cough", "thirst", "vomiting", "itching",
)  # fmt: skip
WHEN = (
    "after meals", "at dawn", "on standing", "in cold weather", "with loud noise", "in children",
    "after rest", "in the evening", "with pale nails", "and weight loss", "on exertion", "at night",
    "with a low pulse", "in old age", "after a long journey", "with hair loss", "eased by sitting",
)  # fmt: skip
ROUTES = ("oral", "inhaled", "topical", "intravenous", "weekly", "low-dose", "high-dose", "early")
DRUG_ENDS = ("ine", "ol", "ate", "umab", "ipril", "icin", "azole", "ide", "one", "astatin")
TESTS = ("biopsy", "ultrasound", "MRI", "CT", "aspiration", "radiography", "endoscopy")
AGENTS = ("virus", "fungus", "bacteria", "toxin", "mutation", "deficiency", "antibodies", "worm")
PROCESSES = ("inflammation", "scarring", "thinning", "blockage", "overgrowth", "loss", "swelling")
ENDS = (
    "failure", "rupture", "necrosis", "abscess", "paralysis", "collapse", "haemorrhage", "cancer",
)  # fmt: skip
HABITS = ("eating", "drinking", "breathing in", "swimming in", "sleeping beside", "carrying")
DETAILS = (
    "the {process} spreads from the {site} to the {other} and the {sign} follows.",
    "the {strange} in the {site} presses on the {other}, so that it becomes {feeling}.",
    "when the {site} is {feeling}, less {strange} reaches the {other}.",
    "it blocks the {agent} and lets the {site} heal {when}.",
    "the {agent} stays in the {site} for years before the {sign} appears.",
    "a {feeling} {site} shows that the {strange} has been lost.",
    "because the {other} makes too much {strange}, the {site} cannot rest.",
    "it shows the {process} of the {site} before any {sign} is felt.",
    "most patients have {sign} {when} and later a {feeling} {other}.",
    "without {strange}, the {site} and the {other} are both at risk of {process}.",
    "it lowers the {strange} and so prevents {process} of the {other}.",
    "the {site} loses its {strange}, which the {other} needs {when}.",
    "children who carry the {agent} often have a {feeling} {site}.",
    "small amounts of {strange} are enough to keep the {other} from {process}.",
    "the {sign} comes from {process} in the wall of the {site}.",
    "it is found early if the {site} is examined {when}.",
)


def invent_word(rng: random.Random, syllables: int) -> str:
    """Return a pronounceable word without meaning."""
    parts = [
        rng.choice(ONSETS) + rng.choice(VOWELS) + rng.choice(["", rng.choice(CODAS)])
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
            f"{rng.choice(FEELINGS)} {stem}",
            f"{stem} {invent_word(rng, 2)}",
        )
    )


def invent_values(rng: random.Random) -> dict[str, str]:
    """Return a value for each attribute of an invented condition."""
    site, drug = rng.choice(SITES), invent_word(rng, 2) + rng.choice(DRUG_ENDS)
    strange = [invent_word(rng, 2) for _ in range(5)]
    return {
        "presentation": rng.choice(
            (
                f"{rng.choice(FEELINGS)} {rng.choice(SIGNS)} of the {site} {rng.choice(WHEN)}",
                f"a {rng.choice(FEELINGS)} {site} with {rng.choice(SIGNS)} {rng.choice(WHEN)}",
                f"{rng.choice(SIGNS)} and {rng.choice(SIGNS)} {rng.choice(WHEN)}",
                f"{strange[0]} {rng.choice(SIGNS)} {rng.choice(WHEN)}",
            )
        ),
        "investigation": rng.choice(
            (
                f"{rng.choice(TESTS)} of the {rng.choice(SITES)}",
                f"anti-{strange[1]} antibodies",
                f"a {strange[1]} assay",
                f"a raised serum {strange[1]}",
                f"{rng.choice(TESTS)} showing {strange[1]} {rng.choice(SIGNS)}",
            )
        ),
        "treatment": rng.choice(
            (
                f"{rng.choice(ROUTES)} {drug}",
                f"{drug} with {invent_word(rng, 2)}{rng.choice(DRUG_ENDS)}",
                f"{drug}",
                f"removal of the {rng.choice(SITES)}",
                f"{rng.choice(ROUTES)} {drug} and rest",
            )
        ),
        "cause": rng.choice(
            (
                f"{rng.choice(PROCESSES)} of the {rng.choice(SITES)}",
                f"{strange[2]} {rng.choice(AGENTS)}",
                f"a {strange[2]} {rng.choice(AGENTS)} in the {rng.choice(SITES)}",
                f"excess {strange[2]}",
                f"{rng.choice(PROCESSES)} after {strange[2]} infection",
            )
        ),
        "complication": rng.choice(
            (
                f"{rng.choice(SITES)} {rng.choice(ENDS)}",
                f"{strange[3]} {rng.choice(ENDS)}",
                f"{rng.choice(ENDS)} of the {rng.choice(SITES)}",
                f"{rng.choice(FEELINGS)} {strange[3]}",
            )
        ),
        "risk_factor": rng.choice(
            (
                f"work with {strange[4]}",
                f"{rng.choice(HABITS)} {strange[4]}",
                f"a {strange[4]} diet in childhood",
                f"earlier {rng.choice(ENDS)} of the {rng.choice(SITES)}",
                f"{strange[4]} in the family",
                f"living near {strange[4]}",
            )
        ),
    }


def invent_detail(rng: random.Random) -> str:
    """Return a sentence that explains an invented fact."""
    sites = rng.sample(SITES, 2)
    words = {
        "site": sites[0],
        "other": sites[1],
        "sign": rng.choice(SIGNS),
        "feeling": rng.choice(FEELINGS),
        "process": rng.choice(PROCESSES),
        "agent": rng.choice(AGENTS),
        "strange": invent_word(rng, 2),
        "when": rng.choice(WHEN),
    }
    return material.capitalize(rng.choice(DETAILS).format(**words))


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
