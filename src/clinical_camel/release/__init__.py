"""What leaves a study: model and dataset cards, merged models, uploads, the tables in README.md.

    records        run records and tables as the cards read them
    model_card     the card of a study's adapter
    dataset_card   the card of a study's dialogues
    adapter        the adapter merged into its base model, or pushed to the hub
    study_table    what we found, and one row per study, for README.md
    colab          the set-up cell of the notebooks for Google Colab, and what it installs there
    model_sizes    the same exams, answered by models of several sizes, for README.md

Every number comes from `run.json` and the tables of a run; a study without scores has none. Only
`push_adapter` uploads, and no run calls it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "adapter": ["merge_adapter", "push_adapter"],
        "dataset_card": ["format_dataset_card", "write_dataset_card"],
        "model_sizes": ["format_size_table"],
        "model_card": ["format_model_card", "write_model_card"],
        "study_table": ["format_findings", "format_study_table", "update_readme"],
    },
)
