"""What a study will take, before anything is downloaded or paid for: `plan <study>`.

    shapes    a base without its weights: parameters counted on torch's meta device
    memory    bytes by part, for training, scoring and generating
    work      rows, tokens and steps, from the params and from what is on disk
    speed     how fast which machine is, each number with its source
    costs     the four together for one step, and beside it what a run of it measured
    report    what is printed

Nothing here opens the network: a tokenizer or file that is not at hand is estimated, and said so.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "costs": ["Cost", "costs_of", "study_costs"],
        "report": ["show"],
        "shapes": ["Base", "find_base"],
        "speed": ["MACHINES"],
    },
)
