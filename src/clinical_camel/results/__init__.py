"""Step 00: what the study found, on one page, from the tables of other studies. No model is needed.

settings   which studies the page reads
sources    the result of a step, if it is there; a number with its n, interval and source
wording    numbers and verdicts in words, the same in the notebook and in README.md
forms      accuracy by question form and training: the table of Figure 1
effect     do dialogues teach more than raw articles, in which question forms?
controlled the same by the controlled comparison: verdicts, conclusions, causes that remain
forgetting what did the tuning erase?
notes      clinical notes
further    who writes the dialogues, a real language model, rewards, published systems
sweeps     further sweeps of step 06: SmolLM2-135M over seeds, more text, larger models, rewording
page       the findings as Markdown; what they mean and what they do not show
figures    Figure 1
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "figures": ["plot_forms"],
        "forms": ["describe_forms", "tabulate_forms"],
        "page": [
            "ALT",
            "collect_findings",
            "describe_limits",
            "describe_meaning",
            "format_headline",
            "format_numbers",
            "format_page",
            "format_readme",
            "list_numbers",
        ],
        "settings": ["Results"],
        "sources": ["Finding", "Number", "find_result"],
    },
)
