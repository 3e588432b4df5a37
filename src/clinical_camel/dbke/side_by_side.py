"""A source beside its dialogue, for a reader: each sentence with the place that it rests on."""

import html
import re
from collections.abc import Iterator, Mapping, Sequence

from clinical_camel import grounding
from clinical_camel.data import Dialogue
from clinical_camel.dbke import checks
from clinical_camel.dbke.requests import Request

MARKS = {"supported": "#d8f0d8", "contradicted": "#f6c8c8", "unsupported": "#fbe3b8"}


def beside(dialogue: Dialogue, request: Request) -> str:
    """A page of HTML: the sentences of the source at the left, the dialogue at the right.

    Behind each sentence that needs a source stand the numbers of those it rests on, the one that
    holds it word for word if there is one, or its verdict and why. Of the source those are shown,
    and what stands next to them.
    """
    source = checks.source_sentences(request)
    stated = list(dict.fromkeys(checks.stated(dialogue, request)))
    links = {link.sentence: link for link in grounding.link(stated, source)}
    for k, sentence in enumerate(source):
        if sentence in links:
            links[sentence] = grounding.Link(sentence, "supported", (k,))
    used = {k for link in links.values() if link.verdict == "supported" for k in link.sources}
    left = "".join(_sources(source, used))
    right = "".join(_turn(m["role"], m["content"], links) for m in dialogue.messages)
    half = '<div style="flex:1;min-width:0">'
    title = request.question.id if request.question else request.article.title
    return (
        '<div class="tex2jax_ignore mathjax_ignore" '
        'style="display:flex;gap:1.5em;align-items:flex-start;color:#111;background:#fff">'
        f"{half}<p><b>{_escaped(title)}</b></p>{left}</div>"
        f"{half}<p><b>{_escaped(dialogue.id)}</b></p>{right}</div></div>"
    )


def _sources(source: Sequence[str], used: set[int]) -> Iterator[str]:
    near = {k + step for k in used for step in (-1, 0, 1)}
    last = -1
    for k in sorted(near & set(range(len(source)))):
        if k > last + 1:
            yield "<div>...</div>"
        colour = f' style="background:{MARKS["supported"]}"' if k in used else ""
        yield f"<div{colour}>[{k + 1}] {_escaped(source[k])}</div>"
        last = k
    if last + 1 < len(source):
        yield "<div>...</div>"


def _turn(role: str, text: str, links: Mapping[str, grounding.Link]) -> str:
    said = grounding.split_sentences(text) if role == "assistant" else [text]
    shown = " ".join(_marked(s, links[s]) if s in links else _escaped(s) for s in said)
    return f"<p><b>{role}</b> {shown}</p>"


def _marked(sentence: str, link: grounding.Link) -> str:
    where = ", ".join(str(k + 1) for k in sorted(link.sources))
    told = f"[{where}]" if link.verdict == "supported" else f"({'; '.join(link.reasons)})"
    style = f"background:{MARKS[link.verdict]}"
    return f'<span style="{style}">{_escaped(sentence)} <b>{_escaped(told)}</b></span>'


def _escaped(text: str) -> str:
    """Text for HTML; a dollar or backslash stands alone, so that no formula begins.

    >>> _escaped("<b>$5</b>")
    '&lt;b&gt;<span>$</span>5&lt;/b&gt;'
    """
    lines = html.escape(text, quote=True).replace("\n", "<br>")
    return re.sub(r"[$\\]", lambda found: f"<span>{found[0]}</span>", lines)
