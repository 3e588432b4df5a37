"""Exercises of step 01: the linked check, a planted contamination, an article of one's own."""

from collections.abc import Mapping, Sequence

from clinical_camel import data, dbke, grounding
from clinical_camel.data import Article, Question, Section
from clinical_camel.data.contamination import ALIKE_SHORT
from clinical_camel.dbke.filters import LIGHT_EDIT_SIMILARITY
from clinical_camel.exercises.feedback import (
    OPEN,
    RIGHT,
    WRONG,
    Feedback,
    grade_predictions,
    require_choice,
)

SOURCE = (
    "Take naproxen 500 mg twice a day with food. Do not drink alcohol. "
    "The pain usually starts in the left knee. Rest makes the pain better."
)
ACCEPTED, REJECTED = "accepted", "rejected"
CLAIMS = {  # a sentence of an assistant: why the check decides as it does
    "Take naproxen 500 mg with food, twice a day.": "Same words in another order, same facts.",
    "Take naproxen 50 mg twice a day with food.": "The dose is another one.",
    "Drink alcohol.": "The negation is missing.",
    "The pain usually starts in the right knee.": "The side is another one.",
    "The pain makes rest better.": (
        "The sentence is false: who does what is exchanged. But all its words and facts are in the "
        "source, and the check compares words and facts, not meaning."
    ),
}
DIALOGUES, EXCHANGES = 5, 6  # of an article in the embedded study
MIN_SENTENCES = 6


def grade_linked_check(predictions: Mapping[str, str]) -> Feedback:
    """Grade a prediction, accepted or rejected, for each of CLAIMS by what the check decides."""
    links = grounding.link_sentences([*CLAIMS], grounding.split_sentences(SOURCE))
    truth = {link.sentence: ACCEPTED if link.verdict == "supported" else REJECTED for link in links}

    def explain(claim: str, answer: object) -> str:
        is_right = require_choice(answer, (ACCEPTED, REJECTED)) == truth[claim]
        return "" if is_right else f"{claim} It is {truth[claim]}. {CLAIMS[claim]}"

    return grade_predictions(
        predictions,
        [*CLAIMS],
        'Write "accepted" or "rejected" for each sentence first.',
        explain,
        "The last sentence is false and passes: a tick does not mean true.",
    )


def grade_planted_question(text: object, question: Question) -> Feedback:
    """Grade an edited exam question that must pass the filter and still be the same question."""
    if not isinstance(text, str) or not text.strip():
        return Feedback(OPEN, "Write your edited question as a text in quotes first.")
    overlaps = data.find_overlaps([question], [("yours", text)])
    if not len(overlaps):
        return Feedback(
            WRONG,
            "Nothing was found: so few words are left that this is another question. Keep at least "
            f"{ALIKE_SHORT:.0%} of the words in their order.",
        )
    kind, similarity = overlaps.iloc[0][["kind", "similarity"]]
    if kind != "light edit":
        return Feedback(WRONG, f"Rejected: the filter found the kind {kind!r}. Change some words.")
    if question.group.casefold() not in text.casefold():
        return Feedback(WRONG, "Another disease: this is another question.")
    if similarity >= LIGHT_EDIT_SIMILARITY:
        return Feedback(
            WRONG,
            f"Rejected: a light edit with a similarity of {similarity:.2f}, and the filter rejects "
            f"from {LIGHT_EDIT_SIMILARITY} on. Change one or two words more.",
        )
    return Feedback(
        RIGHT,
        f"The filter counts it as a light edit with a similarity of {similarity:.2f}, but lets it "
        "pass. A person sees at once that it is the same question: a filter of words limits "
        "contamination, it cannot exclude it.",
    )


def grade_article(title: str, sections: Mapping[str, str]) -> Feedback:
    """Grade an article of one's own by the dialogues that the rule-based teacher writes from it.

    `sections`: text by heading. Right if the check accepts every dialogue and at least nine in ten
    sentences of the article occur in one.
    """
    texts = {str(k): str(v) for k, v in sections.items() if str(v).strip()}
    if not texts:
        return Feedback(OPEN, "Write at least two sections first.")
    sentences = [s for text in texts.values() for s in grounding.split_sentences(text)]
    if len(texts) < 2 or len(sentences) < MIN_SENTENCES:
        size = f"{len(texts)} section(s) with {len(sentences)} sentences"
        return Feedback(
            WRONG, f"Write at least 2 sections and {MIN_SENTENCES} sentences, not {size}."
        )
    answers = list_answers(title, texts)
    spoken = {s for answer in answers for s in grounding.split_sentences(answer)}
    missing = [sentence for sentence in sentences if sentence not in spoken]
    share = 1 - len(missing) / len(sentences)
    result = f"{share:.0%} of {len(sentences)} sentences occur in {DIALOGUES} dialogues."
    if share < 0.9:
        return Feedback(
            WRONG,
            f"{result} Missing, for example: {missing[0]!r}. The teacher skips sentences that have "
            "no end mark, fewer than three words, or too many words.",
        )
    unsupported = grounding.find_unsupported(" ".join(answers), "\n".join(texts.values()))
    if unsupported:
        return Feedback(WRONG, f"The verbatim check rejects {unsupported[0]!r}.")
    return Feedback(
        RIGHT,
        f"{result} Every answer is copied, so the check accepts all. That shows the format, not "
        "that a dialogue explains anything.",
    )


def list_answers(title: str, sections: Mapping[str, str]) -> Sequence[str]:
    """Return all answers of the dialogues that the rule-based teacher writes from an article."""
    article = Article(
        id="own",
        title=title,
        sections=[Section(heading=heading, text=text) for heading, text in sections.items()],
        licence="own",
        group="own",
    )
    teacher = dbke.ExtractiveTeacher()
    requests = dbke.plan_article_requests(article, DIALOGUES, EXCHANGES, seed=0)
    replies = [dbke.parse_reply(teacher.write_reply(request), request) for request in requests]
    return [
        message["content"]
        for dialogue, _ in replies
        if dialogue
        for message in dialogue.messages
        if message["role"] == "assistant"
    ]
