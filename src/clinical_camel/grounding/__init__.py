"""Which source sentence supports a written sentence, in dialogues and in notes.

Two methods. `find_unsupported` and `find_support` are verbatim: no paraphrase counts.
`link_sentences` accepts other words but compares every fact strictly. `extract_facts` and
`find_covered` check the opposite direction: which facts of the source does the text omit?

    verbatim     sentences of a text or note; verbatim support
    linking      support, contradiction and coverage, fact by fact
    facts        clauses, negation and facts of a text
    quantities   numbers and units in canonical form
    terms        names of findings and medications
    duplicates   near-duplicate texts
    language     language of a text
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "duplicates": ["find_near_duplicates"],
        "facts": ["Fact", "KINDS", "extract_facts"],
        "language": ["detect_language"],
        "linking": ["Link", "VERDICTS", "find_covered", "link_sentences"],
        "verbatim": ["find_support", "find_unsupported", "split_note", "split_sentences"],
    },
)
