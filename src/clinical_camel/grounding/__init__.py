"""Which source sentence stands behind which written sentence: for dialogues and for notes.

Two readings. `unsupported` and `best_support` are verbatim: nothing is inferred, so nothing is
explained away. `link` allows other words, and holds every fact strictly. `facts` and `kept` ask the
other way round: what of the source was left out.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "copies": ["language", "near_duplicates"],
        "linking": ["Judge", "Link", "VERDICTS", "kept", "link"],
        "reading": ["Fact", "KINDS", "Turn", "facts"],
        "verbatim": ["best_support", "split_note", "split_sentences", "unsupported"],
    },
)
