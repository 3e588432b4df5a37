"""What leaves a study: cards of its model and its dialogues written from its runs, the adapter
merged into its base, and the adapter pushed to the hub.

Nothing here is typed in by hand: every number of a card is read from `run.json` and the tables
beside it, and a study without scores has none. Nothing is uploaded but by `push`, which no run
calls.
"""

from clinical_camel.release.dialogues import dataset_card, write_dataset_card
from clinical_camel.release.model import adapter_folder, card, merge, push, write_card
from clinical_camel.release.records import markdown

__all__ = [
    "adapter_folder",
    "card",
    "dataset_card",
    "markdown",
    "merge",
    "push",
    "write_card",
    "write_dataset_card",
]
