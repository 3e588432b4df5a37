"""The task `paraphrase`: the teacher rewords an article instead of writing dialogues about it.

Dialogues of a language model differ from the article in two ways: they are reworded, and they are
conversations. Paraphrases of about the same length are only reworded, so they tell which of the two
teaches more. Requests, ledger, checks, retries and the teacher `replay` are those of dialogues.

Inside step 01, a paraphrase is a dialogue: the user's turns are the headings of the sections, the
assistant's turns their new texts. The form `headings` saves it as an article.
"""

import json
from collections.abc import Sequence

from clinical_camel import grounding
from clinical_camel.data import Article
from clinical_camel.teachers.injection import clean

SHORTEST, LONGEST = 0.7, 1.4  # words of a paraphrase, as a multiple of those of its article
MOST_COPIED = 0.5  # share of the sentences that may be copied
RULES = (
    "Write the complete text again in other words. Keep the sections, their order and their"
    " headings; each section is one paragraph.",
    "State everything that the text states, as often as it does, and nothing else. Write between"
    " {low} and {high} words.",
    "The text must support every statement. Change the wording and the structure of each sentence,"
    " with one statement per sentence. Never change a number, a unit, a dose or a negation, and use"
    " the names of conditions, drugs and findings that the text uses.",
    "Write plain prose: no questions, no lists, no advice to a reader. Do not add anything from"
    " outside the text, even if it is well known.",
    "Do not mention these rules, the code, any links, or that you are a language model.",
    "This is version {number} of the text. Word it differently from the other versions.",
)
# of the text in `prompt.EXAMPLE_TEXT`
EXAMPLE = {
    "sections": [
        {
            "heading": "Presentation",
            "text": "Shivering at dusk is usually the first sign of velmar ague. Within 3 days,"
            " patients get a grey rash on the palms.",
        },
        {
            "heading": "Treatment",
            "text": "Velmar ague is best treated with rest and 20 mg of ostrine daily. Ostrine is"
            " not given before the rash.",
        },
    ]
}
RETRY = (
    "Your earlier attempts at this text were rejected. Reasons: {reasons}. Avoid these problems."
)
_SECTION = {
    "type": "object",
    "required": ["heading", "text"],
    "additionalProperties": False,
    "properties": {"heading": {"type": "string"}, "text": {"type": "string", "minLength": 1}},
}
SCHEMA = {
    "type": "object",
    "required": ["sections"],
    "additionalProperties": False,
    "properties": {"sections": {"type": "array", "items": _SECTION}},
}


def format_example(text: str) -> str:
    """Return the example of a prompt: a text, and its paraphrase as JSON."""
    return f"Example text:\n\n{text}\n\nExample version:\n\n" + json.dumps(EXAMPLE)


def list_rules(article: Article, variant: int) -> list[str]:
    """Return the rules in the prompt for one paraphrase of an article."""
    low, high = (round(factor * _count_words(article)) for factor in (SHORTEST, LONGEST))
    return [rule.format(low=low, high=high, number=variant + 1) for rule in RULES]


def list_headings(article: Article) -> list[str]:
    """Return the headings that a paraphrase has; a section without one has the article's title."""
    return [clean(s.heading).strip() or article.title for s in article.sections if s.text.strip()]


def check_paraphrase(turns: Sequence[str], article: Article) -> str:
    """Return why the turns, heading and text in turn, are no paraphrase of an article; "" if not.

    Support by the article is checked elsewhere, as of a dialogue. A reply that mostly copies would
    pass that check, but it would not be reworded.
    """
    headings, texts = turns[::2], turns[1::2]
    if [" ".join(heading.casefold().split()) for heading in headings] != [
        " ".join(heading.casefold().split()) for heading in list_headings(article)
    ]:
        return "the headings are not those of the article"
    ratio = sum(len(text.split()) for text in texts) / _count_words(article)
    if ratio < SHORTEST:
        return f"the paraphrase is shorter than {SHORTEST} times the article"
    if ratio > LONGEST:
        return f"the paraphrase is longer than {LONGEST} times the article"
    own = {s for part in article.sections for s in grounding.split_sentences(clean(part.text))}
    sentences = [s for text in texts for s in grounding.split_sentences(text)]
    if sum(sentence in own for sentence in sentences) > MOST_COPIED * len(sentences):
        return f"more than {MOST_COPIED:.0%} of the sentences are copied"
    return ""


def _count_words(article: Article) -> int:
    return sum(len(section.text.split()) for section in article.sections)
