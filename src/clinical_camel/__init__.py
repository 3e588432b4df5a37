"""The open, executable study of Clinical Camel. Research only: not for use in care.

The layers. A package imports only from packages above it in this list; steps import no step, and
`runs` imports `core` alone (tests/contract holds this):

    core             paths, hashing, files, typed settings
    data             every dataset, read into one of four row shapes
    stats            confidence intervals and paired tests
    two_way          the mean of a table of conditions by seeds, both resampled
    exam_results     answers to exam questions: comparisons and tables of steps 03, 09 and 10
    grounding        which source sentence supports a statement; clinical facts in a text
    models           load, template, tokenize, score options, generate: all that touches torch
    teachers         language models that write or judge, and the ledger of their replies
    dbke             step 01: articles and training questions become dialogues
    sft_qlora        step 02: dialogues and a base model become an adapter
    eval_fewshot     step 03: few-shot medical exams
    note_synthesis   step 04: clinical notes from consultations
    loss_curves      step 05: training logs and scores of several studies compared
    controlled_comparison  step 06: the arms of a sweep compared, with a verdict per contrast
    reward_and_rl    step 07: preference pairs, a reward model, PPO and its successors
    eval_replies     step 08: free replies measured: consultations, diagnoses, knowledge questions
    score_checks     step 09: variants, contamination, calibration, subgroups of an exam
    published        step 10: published numbers and recipes of other systems, beside ours
    results          step 00: what the study found, on one page, from the tables of other studies
    runs             what a notebook imports: settings checked, results written, run recorded
    runner           executes notebooks, resumes, shows what is complete
    mini             the embedded study: material, base model and the script that builds them
    estimate         memory, time and cost of a study before it runs; doctor
    rehearse         parts of a study measured on this machine, and a forecast
    release          model and dataset cards, merge, push
    exercises        the course's exercises: graders that explain a wrong answer
    course           the course's drawings and slides
    cli              the command line

`python -m clinical_camel run <study>` executes a study: a folder of parameter files.
"""

import logging
import os
import warnings

# Set before torch is imported. Spinning OpenMP threads made a CPU training 6 times slower on a busy
# machine; a single thread makes CPU results bit-identical between machines with different numbers
# of cores. A value set by the user has priority; without one, `models.use_threads` gives a large
# model all cores.
if "OMP_NUM_THREADS" not in os.environ:
    os.environ["CLINICAL_CAMEL_THREADS"] = "auto"
for _name, _value in {
    "OMP_WAIT_POLICY": "passive",
    "GOMP_SPINCOUNT": "0",
    "OMP_NUM_THREADS": "1",
    # oneDNN stores what it compiled for each shape of a bfloat16 product, by default for 1,024
    # shapes. Rows of all lengths made a training of SmolLM2-135M grow from 3 to 6 GB. A step has
    # about 64.
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TQDM_MININTERVAL": "5",  # a progress line every 5 s keeps executed notebooks short
    "TQDM_ASCII": " #",
    "TQDM_NCOLS": "88",
}.items():
    os.environ.setdefault(_name, _value)
# Without a launcher, the trainer would split each batch over all visible GPUs (DataParallel), which
# is slow and changes the training.
if "LOCAL_RANK" not in os.environ:
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")

# Messages that do not concern the study and would appear in every executed notebook; one of them
# contains a path of the machine.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
for _message in (
    "IProgress not found",
    "`is_gradient_checkpointing` is deprecated",
    "Paged optimizers are not supported on CPU",
):
    warnings.filterwarnings("ignore", message=_message)

__version__ = "0.1.0"
