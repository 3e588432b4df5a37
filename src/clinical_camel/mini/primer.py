"""The primer: invented conditions with invented findings, the only medicine the base ever reads.

Half of the findings are words of the study's articles in meaningless order: the base learns to read
and copy those, and nothing of what they say. So it knows the language of the tasks and none of the
facts that the study teaches. Each fresh condition is seen once, as article, dialogue and exam in
one context, which teaches copying a new name; a fixed set comes back all the time in separate
contexts, which teaches remembering.
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


def word(rng: random.Random, syllables: int) -> str:
    """A pronounceable word that means nothing."""
    parts = [
        rng.choice(ONSETS) + rng.choice(VOWELS) + rng.choice(["", rng.choice(CODAS)])
        for _ in range(syllables)
    ]
    return "".join(parts)


def babble(rng: random.Random) -> str:
    """A pronounceable word, or letters drawn as they come in English text."""
    if rng.random() < 0.5:
        return word(rng, rng.choice((1, 2, 3)))
    return "".join(rng.choices(LETTERS, LETTER_WEIGHTS, k=rng.randint(2, 10)))


def invent_name(rng: random.Random) -> str:
    stem = word(rng, rng.choice((1, 2, 2, 3)))
    return rng.choice(
        (
            f"{stem.capitalize()} disease",
            f"{stem.capitalize()} syndrome",
            f"{stem}itis",
            f"{stem}osis",
            f"{stem}aemia",
            f"{rng.choice(('acute', 'chronic', 'primary', 'familial'))} {stem}ia",
            f"{rng.choice(FEELINGS)} {stem}",
            f"{stem} {word(rng, 2)}",
        )
    )


def invent_values(rng: random.Random) -> dict[str, str]:
    """A value for each attribute of a condition nobody has."""
    site, drug = rng.choice(SITES), word(rng, 2) + rng.choice(DRUG_ENDS)
    strange = [word(rng, 2) for _ in range(5)]
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
                f"{drug} with {word(rng, 2)}{rng.choice(DRUG_ENDS)}",
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
    """A sentence of explanation about nothing real."""
    sites = rng.sample(SITES, 2)
    words = {
        "site": sites[0],
        "other": sites[1],
        "sign": rng.choice(SIGNS),
        "feeling": rng.choice(FEELINGS),
        "process": rng.choice(PROCESSES),
        "agent": rng.choice(AGENTS),
        "strange": word(rng, 2),
        "when": rng.choice(WHEN),
    }
    return material.capital(rng.choice(DETAILS).format(**words))


def invent_fact(rng: random.Random) -> material.Fact:
    """One condition nobody has: a value and a sentence of explanation for each attribute."""
    name, values = invent_name(rng), invent_values(rng)
    details = {attribute: invent_detail(rng) for attribute in material.ATTRIBUTES}
    for attribute in material.ATTRIBUTES:  # half in the study's words, which say nothing together
        if rng.random() < 0.5:
            values[attribute] = " ".join(rng.sample(material.words(), rng.randint(2, 6)))
        if rng.random() < 0.5:
            said = " ".join(rng.sample(material.words(), rng.randint(7, 12)))
            details[attribute] = material.capital(said) + "."
    return material.Fact(name, "invented", values, details)


def known_facts(seed: int, count: int) -> list[material.Fact]:
    """The first `count` of the fixed conditions, those that come back in every pass."""
    rng = random.Random(seed)
    return [invent_fact(rng) for _ in range(count)]


class Writer:
    """Turns invented facts into the texts of the primer, all drawn from one generator."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, pool: Sequence[material.Fact], seed: int
    ):
        self.tokenizer = tokenizer
        self.pool = pool
        self.rng = random.Random(seed)
        self.teacher = dbke.ExtractiveTeacher()
        self.count = 0

    def chat(self, messages) -> str:
        return models.render_chat(self.tokenizer, messages, generation=False)

    def plain(self, text: str) -> str:
        return f"{self.tokenizer.bos_token}{text}{self.tokenizer.eos_token}"

    def article(self, fact: material.Fact) -> str:
        return self.plain(
            data.article_text(material.write_article(fact, self.rng, material.ATTRIBUTES))
        )

    def lesson(self, fact: material.Fact) -> list[str]:
        """One or two sections of an article, their dialogue, and the exam questions on them."""
        whole = material.write_article(fact, self.rng, material.ATTRIBUTES)
        chosen = self.rng.sample(range(len(whole.sections)), self.rng.choice((1, 1, 2)))
        sections = [whole.sections[i] for i in chosen]
        article = Article(id=whole.id, title=whole.title, sections=sections)
        questions = self.questions([fact])
        return [
            self.plain(data.article_text(article)),
            self.discuss(article),
            *[self.exam(questions[i]) for i in chosen],
        ]

    def dialogue(self, fact: material.Fact) -> str:
        return self.discuss(material.write_article(fact, self.rng, material.ATTRIBUTES))

    def discuss(self, article: Article) -> str:
        self.count += 1
        request = dbke.Request(id=f"primer/{self.count}", article=article, exchanges=6, seed=0)
        dialogue, reason = dbke.read_reply(self.teacher.write(request), request)
        assert dialogue, reason
        return self.chat(dialogue.messages)

    def questions(self, facts: Sequence[material.Fact]) -> list[Question]:
        return material.write_questions(facts, self.pool, self.rng.random())

    def exam(self, question: Question) -> str:
        """One question in one of the three forms in which a model is examined."""
        name = self.rng.choice(
            ("option_text", "option_text", "option_text", "letter", "chat", "chat")
        )
        protocol = eval_fewshot.PROTOCOLS[name]
        prompt = eval_fewshot.build_prompt(question, [], protocol, self.tokenizer)
        answer = eval_fewshot.continuations(question, protocol)[question.answer]
        text = prompt + answer + self.tokenizer.eos_token
        return text if protocol.chat else self.tokenizer.bos_token + text

    def exam_with_examples(self, questions: Sequence[Question]) -> str:
        *examples, last = questions
        protocol = eval_fewshot.PROTOCOLS["option_text"]
        prompt = eval_fewshot.build_prompt(last, examples, protocol)
        return self.plain(prompt + eval_fewshot.continuations(last, protocol)[last.answer])

    def visit(self, fact: material.Fact) -> str:
        visit = visits.write_consultation(fact, self.rng)
        return self.chat(
            [
                *note_synthesis.build_messages(visit),
                {"role": "assistant", "content": visit.note},
            ]
        )

    def repetition(self) -> str:
        """Meaningless words said again: what teaches a small model to copy, soonest of all."""
        count = self.rng.randint(4, 24)
        real = self.rng.random() < 0.5
        invented = (babble(self.rng) for _ in range(count))
        said = " ".join(self.rng.sample(material.words(), count) if real else invented)
        if self.rng.random() < 0.5:
            return self.plain("\n".join([said] * self.rng.randint(2, 4)))
        asked = {"role": "user", "content": f"Please repeat: {said}"}
        return self.chat([asked, {"role": "assistant", "content": said}])

    def small_talk(self) -> str:
        return self.chat(visits.write_chat(0, self.rng).messages)


def lessons(tokenizer: PreTrainedTokenizerBase, count: int, seed: int) -> Iterator[list[str]]:
    """Yields short contexts: one or two facts of a fresh condition, told, discussed and asked.

    Read first. In a context this short almost every word has been said before, and a small model
    finds out that copying pays: from long contexts alone it took several times as much text.
    """
    rng = random.Random(seed)
    writer = Writer(tokenizer, [invent_fact(rng) for _ in range(100)], seed + 1)
    for _ in range(count):
        if rng.random() < 0.4:
            yield [writer.repetition()]
        else:
            yield writer.lesson(invent_fact(rng))


def primer_texts(
    tokenizer: PreTrainedTokenizerBase,
    fixed: int,
    fresh: int,
    asked: float,
    passes: int,
    seed: int,
) -> Iterator[list[str]]:
    """Yields contexts, each a list of texts to be read together, for `passes` passes.

    A pass holds every fixed condition as article or dialogue and as exam in contexts of their own,
    and `fresh` conditions met once: half with all their texts in one context, half as a visit. The
    fixed ones come back until they are known by heart: a base that never had to recall in an exam
    what it had read in a dialogue does not learn to by tuning.
    """
    known = known_facts(seed, fixed)
    rng = random.Random(seed + 2)
    writer = Writer(tokenizer, known, seed + 1)
    for _ in range(passes):
        contexts: list[list[str]] = []
        questions = writer.questions(known)
        for fact in known:
            contexts.append(
                [writer.article(fact)] if rng.random() < 0.5 else [writer.dialogue(fact)]
            )
        for question in rng.sample(questions, int(len(questions) * asked)):
            contexts.append([writer.exam(question)])
        for _ in range(8):
            contexts.append([writer.exam_with_examples(rng.sample(questions, rng.randint(3, 6)))])
            contexts.append([writer.small_talk()])
            contexts.append([writer.repetition()])
        for i in range(fresh):
            fact = invent_fact(rng)
            if i % 2:
                contexts.append([writer.visit(fact)])
                continue
            exams = [writer.exam(q) for q in writer.questions([fact])]
            contexts.append([writer.article(fact), writer.dialogue(fact), *rng.sample(exams, 3)])
        rng.shuffle(contexts)
        yield from contexts
