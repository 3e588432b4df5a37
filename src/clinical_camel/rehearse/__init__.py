"""A study rehearsed on the machine that will run it: measured parts of each step, and a forecast.

    record         what is measured and forecast; rehearsal.json
    task           what a kernel is to do, passed as a file
    process        peak memory of this process
    cores          processor time of this process and of others
    intervals      a forecast with its interval, from the measured part
    random_model   a base model of the real shape with random weights
    stand_ins      files that stand in for what is not on this machine
    stage          a copy of the project in which the rehearsal runs, so that no result changes
    kernel         in the notebook of a step: what takes hours is replaced by a part of it
    dialogues      step 01: some requests
    training       step 02: some optimizer steps, a checkpoint, and a resumed training
    stopwatch      the time of training steps and checkpoints
    variants       step 02: larger batches and fewer recomputed layers
    answers        step 03: some questions of each evaluation
    notes          step 04: some notes of each decoding
    forecast       time, memory and cost of each step; go or no-go
    report         what `rehearse` prints
    command        the rehearsal of a study within its minutes

The notebooks, settings and functions are those of the study. Weights are random unless the base
model is small and on this machine; the time of a step does not depend on their values, except that
of replies that end early.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "command": ["rehearse_study"],
        "kernel": ["take_part"],
    },
)
