"""What leaves a study: cards of its model and its dialogues written from its runs, the adapter
merged into its base, and the adapter pushed to the hub.

Nothing here is typed in by hand: every number of a card is read from `run.json` and the tables
beside it, and a study without scores has none. Nothing is uploaded but by `push`, which no run
calls.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "dialogues": ["dataset_card", "write_dataset_card"],
        "model": ["adapter_folder", "card", "merge", "push", "write_card"],
        "records": ["markdown"],
    },
)
