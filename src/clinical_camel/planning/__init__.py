"""What a study will take, before anything is downloaded or paid for: `plan <study>`.

    shapes    a base without its weights: parameters counted on torch's meta device
    memory    bytes by part, for training, scoring and generating
    work      rows, tokens and steps, from the params and from what is on disk
    speed     how fast which machine is, each number with its source
    costs     the four together for one step, and beside it what a run of it measured
    report    what is printed

Nothing here opens the network: a tokenizer or file that is not at hand is estimated, and said so.
"""

from clinical_camel.planning.costs import Cost, costs_of, study_costs
from clinical_camel.planning.report import show
from clinical_camel.planning.shapes import Base, find_base
from clinical_camel.planning.speed import MACHINES

__all__ = ["MACHINES", "Base", "Cost", "costs_of", "find_base", "show", "study_costs"]
