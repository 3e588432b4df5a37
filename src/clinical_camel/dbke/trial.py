"""A small request for a dialogue, with which `doctor` tries an endpoint."""

from clinical_camel.data import Article, Section
from clinical_camel.dbke import prompt, replies
from clinical_camel.dbke.requests import Request
from clinical_camel.teachers.probe import Trial

ARTICLE = Article(  # invented: the example of the prompt
    id="example",
    title="velmar ague",
    sections=[
        Section(heading=heading, text=text)
        for heading, _, text in (
            part.partition("\n") for part in prompt.EXAMPLE_TEXT.split("\n\n## ")[1:]
        )
    ],
)


def build_trial() -> Trial:
    """Return the trial: a dialogue on the invented article, with about 1,000 tokens in all."""
    request = Request(id="example", exchanges=2, seed=0, article=ARTICLE)
    messages = prompt.build_messages(request)
    return Trial("dialogue", messages, lambda raw: replies.read_dialogue_text(raw, request.task))
