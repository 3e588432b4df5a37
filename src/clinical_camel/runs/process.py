"""The process of a notebook, prepared for a run: seeds, figures, quiet libraries, SIGTERM."""

import contextlib
import importlib
import importlib.util
import logging
import os
import random
import signal
import sys
import warnings
from typing import Any

from clinical_camel.core.colours import MODEL_COLOURS


def prepare_process(seed: int) -> None:
    """Seed the libraries, set the theme of figures, silence messages, let SIGTERM clean up."""
    _set_seeds(seed)
    _set_theme()
    _silence_libraries()
    _handle_sigterm()


def _set_seeds(seed: int) -> None:
    """Seed the libraries that are imported; importing torch only to seed it costs two seconds."""
    random.seed(seed)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(seed % 2**32)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(seed)


def _set_theme() -> None:
    if importlib.util.find_spec("seaborn"):
        seaborn = importlib.import_module("seaborn")
        seaborn.set_theme(style="ticks", palette=MODEL_COLOURS, rc={"figure.dpi": 110})


def _silence_libraries() -> None:
    """Keep executed notebooks short and free of this machine's paths."""
    warnings.formatwarning = lambda message, category, *_: (
        f"{category.__name__}: {' '.join(str(message).split())}\n"
    )
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    switches = {
        "datasets": ("HF_DATASETS_DISABLE_PROGRESS_BARS", "datasets", "disable_progress_bars"),
        "transformers": (
            "HF_HUB_DISABLE_PROGRESS_BARS",
            "transformers.utils.logging",
            "disable_progress_bar",
        ),
    }
    for package, (variable, module, switch) in switches.items():
        os.environ.setdefault(variable, "1")  # read when the package is imported
        if package in sys.modules:
            getattr(importlib.import_module(module), switch)()


def _handle_sigterm() -> None:
    """Make SIGTERM raise KeyboardInterrupt in a kernel, so that `finally` blocks run.

    A preempted machine sends SIGTERM; the default action would skip them.
    """
    if "ipykernel" not in sys.modules or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt("SIGTERM")

    with contextlib.suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGTERM, interrupt)
