"""Memory, time and cost of a study before anything is downloaded or paid for; checks of a machine.

    shapes   a base model without its weights, counted on torch's meta device
    work     rows, tokens and steps, from the settings and the files on disk
    exams    the same for step 03
    memory   bytes by part, for training, scoring and generation
    speed    throughput of each machine, every number with its source
    costs    all of these for one step, and what its last run needed
    report   what `plan` prints
    sweeps   the same for a sweep
    doctor   whether this machine can run a study

Nothing here opens the network, except `doctor`. Estimates are marked.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "costs": ["Cost", "estimate_step", "estimate_study"],
        "report": ["print_report"],
        "shapes": ["Base", "find_base"],
        "speed": ["MACHINES"],
        "sweeps": ["print_sweep_report"],
    },
)
