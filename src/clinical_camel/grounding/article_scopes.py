"""Cues that mean something else in an article than in a consultation or a note.

The cues of NegEx and ConText were collected from notes. An article defines, explains and advises:
"negative feedback" denies nothing, "look for anaemia" is no doubt about one patient, and a denial
ends at the verb, the condition or the relative clause after it.
"""

import re

# phrases of context_terms.csv that are no cues in an article, by category
_NO_CUES = {
    "negated": frozenset(["negative"]),  # "negative feedback"; "negative for" remains a cue
    "possible": frozenset(["look for", "looking for"]),
    "hypothetical": frozenset(["risk of", "risks of"]),  # "the risk of gout is raised by beer"
}
_IF = re.compile(r"\b(?:if|when|whenever)\b")
_END = re.compile(
    r"\b(?:if|when|whenever|unless|until)\b"
    r"|, (?:thus|thereby|hence|whose|which)\b"
)
# A verb after "without ..." belongs to the sentence: "menopause without oestrogen makes ..."
_VERB = re.compile(
    r"\b(?:also|then|can|could|may|might|must|shall|should|will|would|is|are|was|were|has|have|had"
    r"|does|do|there|makes?|raises?|becomes?|remains?|occurs?|suggests?|requires?"
    r"|(?:leads?|points?) to)\b"
)
_PREPOSITIONS = ("of", "in", "to", "for", "from", "on", "at", "by", "with", "without", "and", "or")
_NEXT = re.compile(  # what is said after an opening condition: "without a socket the bone slides"
    ",|" + "".join(rf"(?<!\b{word})" for word in _PREPOSITIONS) + r"(?<=\w) (?:the|an?|its|their)\b"
)
_OPENING = re.compile(
    r"(?:\W|\b(?:yes|no|so|and|also|then|well|however|thus|therefore|otherwise|as a result"
    r"|as far as is known|in (?:short|fact|general|addition)|for example)\b)*"
)


def is_cue(phrase: str, category: str, direction: str) -> bool:
    """Return whether a phrase of context_terms.csv is a cue in an article.

    >>> is_cue("negative", "negated", "forward"), is_cue("negative", "negated", "backward")
    (False, True)
    """
    return direction != "forward" or phrase not in _NO_CUES.get(category, ())


def end_denial(text: str, start: int, end: int, stop: int) -> int:
    """Return where the scope of a denial ends, whose cue is at start:end of a clause.

    `stop`: where it ends in a note. The condition "without insulin, ..." ends at the comma.

    >>> text = "it should not wait if gout is likely"
    >>> text[13 : end_denial(text, 10, 13, len(text))]
    ' wait '
    """
    ends = [_END]
    if text.startswith("without", start):
        ends.append(_VERB)
        if is_condition(text, start):
            ends.append(_NEXT)
    return min([stop, *(match.start() for e in ends if (match := e.search(text, end, stop)))])


def begin_doubt(text: str, end: int) -> int:
    """Return where the scope of a doubt begins that covers what precedes it, up to `end`.

    >>> text = "the test should not wait if gout is suspected"
    >>> text[begin_doubt(text, 33) : 33]
    ' gout '
    """
    return max((match.end() for match in _IF.finditer(text, 0, end)), default=0)


def is_condition(text: str, start: int) -> bool:
    """Return whether a cue at this place is "without" and begins a clause of its own.

    >>> is_condition("yes, without insulin, glucose rises", 5)
    True
    """
    return text.startswith("without", start) and bool(_OPENING.fullmatch(text, 0, start))
