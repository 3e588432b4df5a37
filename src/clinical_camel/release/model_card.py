"""The model card of a study, written from its own runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from clinical_camel.core.base_models import BUILT, PACKAGED, SHIPPED
from clinical_camel.core.paths import root
from clinical_camel.release.records import (
    EXAM,
    SYNTHESIS,
    TRAINING,
    WEIGHTS,
    format_device,
    format_settings,
    format_table,
    load_table,
    require_artefact,
    require_record,
    require_same_adapter,
)
from clinical_camel.runner.jobs import PlanError

FIGURE = "loss.png"
CARD = """---
{front}library_name: peft
---

# {study}: an adapter of the open study of Clinical Camel

**Research only: not for use in care.** No clinician has reviewed the output of this model.

## What it is

{summary}

## Intended use

To study what tuning on these texts changes, and to reproduce the study. Not for diagnosis,
treatment or advice, neither for patients nor by patients. Its safety was not tested.

## Training data

{sources}

## Recipe

{recipe}

## Loss

{loss}

![Training loss at each step and its running mean, against the step]({figure})

## Exams

{exams}

Intervals are 95 % (Wilson). Chance is the score of guessing. An exam score does not measure
clinical competence.

## How to reproduce

```
git checkout {commit}
python -m clinical_camel run {study}
```
"""


def write_model_card(study: str) -> Path:
    """Write outputs/<study>/MODEL_CARD.md from the study's own runs; return the file."""
    file = root() / "outputs" / study / "MODEL_CARD.md"
    file.write_text(format_model_card(study), encoding="utf-8")
    return file


def format_model_card(study: str, figure: str = f"{TRAINING}/{FIGURE}") -> str:
    """Return the model card of a study; `figure` is the path of its loss curve.

    Raises PlanError while steps 02 and 03 are not complete, or do not belong together.
    """
    training, exam = require_record(study, TRAINING), require_record(study, EXAM)
    require_same_adapter(study, training, exam)
    require_artefact(study, TRAINING, FIGURE)
    params, model = training["params"], training["params"]["model"]
    log = load_table(study, TRAINING, "train_log")
    base = ", ".join(f"{name} {value}" for name, value in training["notes"]["base"].items())
    minutes = f"{training['seconds'] / 60:.0f} minutes on {format_device(training)}"
    if "energy_wh" in training:
        minutes += f", {training['energy_wh']:.1f} Wh ({training['energy_from']})"
    return CARD.format(
        front=_format_front(model),
        study=study,
        summary=(
            f"A LoRA adapter for `{model}` ({base}). {_describe_base(model)}The licence of "
            f"the base model applies to the adapter too. {len(log)} steps, loss from "
            f"{log['loss'].iloc[0]:.2f} to {log['loss'].iloc[-1]:.2f}, {minutes}. "
            f"Adapter: sha256 {training['artefacts'][f'adapter/{WEIGHTS}'][:16]}."
        ),
        sources=format_table(_tabulate_sources(study, training)),
        recipe=format_settings({k: v for k, v in params.items() if k not in ("study", "mixture")}),
        loss=format_table(_tabulate_loss(log)),
        figure=figure,
        exams=format_table(_tabulate_exams(study, exam)),
        commit=training["commit"],
    )


def _format_front(model: str) -> str:
    """Return the lines of the card's front matter on licence and base model."""
    if model == SHIPPED or model in BUILT:  # with or by this package, under its licence
        return "license: apache-2.0\n"
    if model in PACKAGED:
        source = PACKAGED[model]
        return f"license: {source.licence.lower()}\nbase_model: {source.hub_id}\n"
    return f"license: other\nlicense_name: that of the base model\nbase_model: {model}\n"


def _describe_base(model: str) -> str:
    """Return what a packaged model is, and how it differs from the one on the hub."""
    source = PACKAGED.get(model)
    return f"The base model is {source.description} {source.difference} " if source else ""


def _tabulate_sources(study: str, record: Mapping[str, Any]) -> list[dict[str, Any]]:
    mixture = load_table(study, TRAINING, "mixture").set_index("source")
    sources = {source["spec"]: source for source in record["notes"]["sources"]}
    return [
        {
            "source": spec,
            "rows": int(row["rows"]),
            "tokens": int(row["tokens"]),
            "target tokens": f"{row['target_share']:.0%}",
            "licence": sources[spec]["licence"] or _describe_origin(sources[spec]),
            "hash or revision": (sources[spec].get("sha256") or sources[spec]["revision"])[:16],
        }
        for spec, row in mixture.iterrows()
    ]


def _describe_origin(source: Mapping[str, Any]) -> str:
    """Return the teacher of rows that a step wrote, with the terms of the teacher.

    Raises PlanError if the step has written other rows since the training.
    """
    _, _, place = source["spec"].partition("outputs/")
    study, _, rest = place.partition("/")
    step, _, name = rest.partition("/")
    if step != SYNTHESIS:
        return "made in this study"
    record = require_record(study, step)
    if record["artefacts"].get(name) != source.get("sha256"):
        raise PlanError(f"{study}: {step} has written another {name} since; run {TRAINING} again")
    teacher = record["notes"]["teacher"]
    writer = f"{teacher['name']} {teacher['model']}".rstrip()
    return f"made in this study by {writer}; its terms: {teacher['terms']}"


def _tabulate_loss(log: pd.DataFrame) -> list[dict[str, str]]:
    """Return means over a twentieth of the run, at its start, its quarters and its end."""
    window = max(1, len(log) // 20)
    rows = []
    for quarter in (0, 0.25, 0.5, 0.75, 1):
        end = max(window, round(quarter * len(log)))
        part = log.iloc[end - window : end]
        row = {
            "steps": f"{part['step'].iloc[0]} to {part['step'].iloc[-1]}",
            "tokens": f"{part['tokens'].iloc[-1]:,}",
            "loss (nats per target token)": f"{part['loss'].mean():.3f}",
        }
        validation = log["validation_loss"].iloc[:end].dropna()
        if len(validation):
            row["validation loss"] = f"{validation.iloc[-1]:.3f}"
        rows.append(row)
    return rows


def _tabulate_exams(study: str, record: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return one row per benchmark, variant, protocol and number of shots, with every model."""
    scores = load_table(study, EXAM, "scores")
    keys = ["benchmark", "variant", "protocol", "num_shots"]
    rows = []
    for (benchmark, variant, protocol, shots), group in scores.groupby(keys, sort=False):
        setting = f"{protocol}, {shots}-shot"
        if variant != "as_given":
            setting += f", {variant.replace('_', ' ')}"
        row = {"exam": benchmark, "setting": setting, "n": int(group["n"].max())}
        for score in group.itertuples():
            accuracy = f"{score.accuracy:.1%} [{score.low:.1%}, {score.high:.1%}]"
            row[score.model] = accuracy if score.n else "too long"
        rows.append(row | {"chance": f"{group['chance'].max():.0%}"})
    if not rows:
        raise PlanError(f"{study}: {EXAM} has no score; a card without exams is not written")
    return rows
