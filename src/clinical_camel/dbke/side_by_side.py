"""A source and its dialogue side by side, each sentence with the sentences that support it."""

import html
import textwrap
from collections.abc import Iterator, Mapping, Sequence

from clinical_camel import grounding
from clinical_camel.core.values import escape_html
from clinical_camel.data import Dialogue
from clinical_camel.dbke import checks
from clinical_camel.dbke.requests import Request
from clinical_camel.dbke.synthesis import RejectedReply

START = 600  # characters shown of a reply that contains no dialogue
COLOURS = {"supported": "#d8f0d8", "contradicted": "#f6c8c8", "unsupported": "#fbe3b8"}


def render_rejected(replies: Sequence[RejectedReply], requests: Mapping[str, Request]) -> str:
    """Return HTML: a rejected reply side by side with its source, or a sentence if there is none.

    It is the first reply whose reason quotes an assistant sentence, else the first with a dialogue,
    else the start of the first. `requests` has the requests by id.
    """
    quoting = [r for r in replies if r.reason.startswith(checks.SENTENCE)]
    readable = [r for r in replies if r.dialogue.messages]
    for reply in [*quoting, *readable, *replies][:1]:
        if reply.dialogue.messages:
            return render_side_by_side(reply.dialogue, requests[reply.dialogue.id], reply.reason)
        start = html.escape(textwrap.shorten(reply.text, START, placeholder=" ..."))
        return (
            f"<p><b>{html.escape(reply.dialogue.id)}</b><br><b>Rejected:</b> "
            f"{html.escape(reply.reason)}<br><b>The reply begins:</b> {start}</p>"
        )
    return "<p>No reply was rejected, so none is shown here.</p>"


def render_side_by_side(dialogue: Dialogue, request: Request, rejection: str = "") -> str:
    """Return HTML: the sentences of the source on the left, the dialogue on the right.

    Each sentence that needs support is followed by the numbers of the source sentences that support
    it, or by the reasons why none does. If the source contains it verbatim, only that number is
    given. The left side shows these source sentences and their neighbours; a sentence that the
    source repeats is shown once. A `rejection`, the reason, is shown above the dialogue; the
    sentence that it quotes has a frame.
    """
    source = list(dict.fromkeys(checks.split_source(request)))
    claims = list(dict.fromkeys(checks.list_claims(dialogue, request)))
    links = {link.sentence: link for link in grounding.link_sentences(claims, source)}
    for k, sentence in enumerate(source):
        if sentence in links:
            links[sentence] = grounding.Link(sentence, "supported", (k,))
    used = {k for link in links.values() if link.verdict == "supported" for k in link.sources}
    sources = "".join(_render_source(source, used))
    turns = "".join(
        _render_turn(m["role"], m["content"], links, rejection) for m in dialogue.messages
    )
    above = f"<p><b>Rejected:</b> {escape_html(rejection)}</p>" if rejection else ""
    half = '<div style="flex:1;min-width:0">'
    title = request.question.id if request.question else request.article.title
    return (
        '<div class="tex2jax_ignore mathjax_ignore" '
        'style="display:flex;gap:1.5em;align-items:flex-start;color:#111;background:#fff">'
        f"{half}<p><b>{escape_html(title)}</b></p>{sources}</div>"
        f"{half}<p><b>{escape_html(dialogue.id)}</b></p>{above}{turns}</div></div>"
    )


def _render_source(source: Sequence[str], used: set[int]) -> Iterator[str]:
    near = {k + step for k in used for step in (-1, 0, 1)}
    last = -1
    for k in sorted(near & set(range(len(source)))):
        if k > last + 1:
            yield "<div>...</div>"
        colour = f' style="background:{COLOURS["supported"]}"' if k in used else ""
        yield f"<div{colour}>[{k + 1}] {escape_html(source[k])}</div>"
        last = k
    if last + 1 < len(source):
        yield "<div>...</div>"


def _render_turn(role: str, text: str, links: Mapping[str, grounding.Link], rejection: str) -> str:
    sentences = grounding.split_sentences(text) if role == "assistant" else [text]
    marked = [
        _frame(_mark(s, links[s]) if s in links else escape_html(s), s, rejection)
        for s in sentences
    ]
    return f"<p><b>{role}</b> {' '.join(marked)}</p>"


def _frame(page: str, sentence: str, rejection: str) -> str:
    """Frame a sentence if the rejection reason quotes it."""
    if not checks.quotes(rejection, sentence):
        return page
    return f'<span style="outline:2px solid #b00020">{page}</span>'


def _mark(sentence: str, link: grounding.Link) -> str:
    numbers = ", ".join(str(k + 1) for k in sorted(link.sources))
    note = f"[{numbers}]" if link.verdict == "supported" else f"({'; '.join(link.reasons)})"
    style = f"background:{COLOURS[link.verdict]}"
    return f'<span style="{style}">{escape_html(sentence)} <b>{escape_html(note)}</b></span>'
