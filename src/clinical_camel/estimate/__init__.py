"""Memory, time and cost of a study before anything is downloaded or paid for; checks of a machine.

    shapes   a base model without its weights, from its configuration
    skeletons  the same from the modules of transformers, for other architectures
    sizes    sizes of sets that are not on this machine, each with its source
    tokenizer  the tokenizer of a base model without transformers
    work     rows, tokens and steps, from the settings and the files on disk
    exams    the same for step 03
    notes    the same for step 04
    memory   bytes by part, for training, scoring and generation
    speed    throughput of each machine, every number with its source
    measured  the throughput that a rehearsal measured
    disks    the disks for results and models
    costs    all of these for one step, and what its last run needed
    report   what `plan` prints
    plans    the estimates of the studies that step 10 compares, as a table
    sweeps   the same for a sweep
    walk     a training step without its numbers: memory and operations, counted
    doctor   whether this machine can run a study

Nothing here opens the network, except `doctor`. Estimates are marked. `plan` imports no torch: only
`skeletons`, `walk` and `doctor` do.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "costs": ["Cost", "estimate_step", "estimate_study"],
        "plans": ["list_planned_studies", "write_plans"],
        "report": ["print_report"],
        "shapes": ["find_base"],
        "speed": ["MACHINES"],
        "sweeps": ["print_sweep_report"],
    },
)
