"""Which source sentence supports a written sentence, in dialogues and in notes.

Two methods. `find_unsupported` and `find_support` are verbatim: no paraphrase counts.
`link_sentences` accepts other words but compares every fact strictly. `extract_facts` and
`find_covered` check the opposite direction: which facts of the source does the text omit?

    verbatim     sentences of a text or note; verbatim support
    linking      the decision: supported, contradicted or unsupported; coverage, fact by fact
    words        which words of a sentence the source has, and which need none
    checks       numbers, drugs, findings, sides and sex of a sentence against the source
    claims       words that claim a time or certainty: "previously", "confirmed"
    evidence     which turns a reader should see next to a sentence
    states       start and stop, never and former, high and low: typed claims with an owner
                 (uses of drugs and habits, phrases)
    polarity     who, when and whether: the context of a statement against the source's
    source       the clauses of a source, indexed
    facts        clauses and facts of a text
    answers      questions of a consultation with their answers
    clauses      split a sentence into clauses, with the context of each word
    context      NegEx and ConText: denied, possible, hypothetical, family, past
    article_scopes  what is no cue in an article, and where a denial ends there
    corrections  what a speaker takes back: "the 50, no, sorry, the 100"
    speech       expressions of speech and their words in notes
    quantities   numbers, units, dates and times; which are the same
                 (numerals, normalization, shorthand, units, comparison)
    owners       which drug a dose belongs to, which part of the body a side
    terms        names of findings, conditions and medications (spelling, lexicons)
    tables       the csv files of this package
    duplicates   near-duplicate texts
    loops        whether a text repeats itself
    language     language of a text
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "clauses": ["Fact"],
        "duplicates": ["find_near_duplicates"],
        "facts": ["extract_facts"],
        "language": ["detect_language"],
        "linking": ["Link", "VERDICTS", "find_covered", "link_sentences"],
        "loops": ["is_looping"],
        "verbatim": ["find_support", "find_unsupported", "split_note", "split_sentences"],
    },
)
