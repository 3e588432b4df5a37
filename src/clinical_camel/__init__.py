"""The open, executable study of Clinical Camel. Research only: not for use in care.

The layers, each importing only from those below it (`tests/test_contract.py` holds this):

    notebooks    argue: one step module, data, models, runs
    steps        compute: dbke, sft_qlora, eval_fewshot, note_synthesis, loss_curves
                 values in, tables and figures out; they import data, models, stats
    shared       data (row shapes, loaders), models (all that touches torch), stats
    runs         what a run may be given, where its results go, what is recorded
    planning     what a study will take; counts with the steps' own functions, so it is above them
    doctor       whether this machine is fit for that plan
    release      cards of model and dialogues from the runs; the adapter merged, and pushed

`python -m clinical_camel run <study>` executes a study: a folder of parameter files.
"""

import logging
import os
import warnings

# Before torch is imported anywhere. OpenMP threads that spin while they wait made the same CPU
# training 6 times slower on a busy machine; one thread makes CPU results bit-identical between
# machines with different numbers of cores. A value set by the user wins.
for _name, _value in {
    "OMP_WAIT_POLICY": "passive",
    "GOMP_SPINCOUNT": "0",
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TQDM_MININTERVAL": "5",  # a line of progress every 5 s keeps executed notebooks short
    "TQDM_ASCII": " #",
    "TQDM_NCOLS": "88",
}.items():
    os.environ.setdefault(_name, _value)
# With several GPUs in view and no launcher, the trainer splits each batch over them (DataParallel),
# which is slow and not the same training.
if "LOCAL_RANK" not in os.environ:
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")

# Lines that say nothing about the study and would stand in every executed notebook, one of them
# with a path of the machine that ran it.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
for _message in (
    "IProgress not found",
    "`is_gradient_checkpointing` is deprecated",
    "Paged optimizers are not supported on CPU",
):
    warnings.filterwarnings("ignore", message=_message)

__version__ = "0.1.0"
