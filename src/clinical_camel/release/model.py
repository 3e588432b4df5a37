"""The model of a study: its card, the adapter merged into its base, and pushed to the hub.

A merged model is saved only if it gives the logits of base and adapter apart. To merge takes the
memory of the whole base in full precision; with CUDA_VISIBLE_DEVICES="" in the environment it is
main memory.
"""

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from huggingface_hub import HfApi, get_token
from peft import PeftModel

from clinical_camel import models
from clinical_camel.core.files import read_json
from clinical_camel.core.hashing import hash_file
from clinical_camel.core.paths import root
from clinical_camel.release.records import EXAM, TRAINING, markdown, record_of, shown, table_of
from clinical_camel.runner.jobs import PlanError

WEIGHTS = "adapter_model.safetensors"
FIGURE = "loss.png"
APART = 1e-3  # how far merged logits may be, as a share of the largest: float32 keeps 1e-6
QUESTIONS = (
    "What treats gout?",
    "A child has a barking cough at night. What is it?",
    "Why is the potassium low after a week of vomiting?",
    "Which vaccine is given before the spleen is taken out?",
)
CARD = """---
{front}---

# {title}

**Research only: not for use in care.** No clinician has reviewed what this model says.

## What it is

{what}

## Intended use

To study what tuning on these texts changes, and to repeat the study. Not for diagnosis, treatment
or advice, not for patients and not by them. Nothing about its safety was tested.

## Trained on

{trained_on}

## How

{how}

## Loss

{loss}

![Training loss at each step and its running mean, against the step]({figure})

## Exams

{exams}

Intervals are 95 % (Wilson); chance is guessing. An exam score does not measure clinical competence.

## To repeat

```
git checkout {commit}
python -m clinical_camel run {study}
```
"""


def write_card(study: str) -> Path:
    """Writes outputs/<study>/MODEL_CARD.md from the study's own runs; returns where."""
    place = root() / "outputs" / study / "MODEL_CARD.md"
    place.write_text(card(study), encoding="utf-8")
    return place


def card(study: str, figure: str = f"{TRAINING}/{FIGURE}") -> str:
    """The model card of a study as Markdown, `figure` where its loss curve lies beside it.

    PlanError while steps 02 and 03 are not complete.
    """
    trained, asked = record_of(study, TRAINING), record_of(study, EXAM)
    params = trained["params"]
    log = table_of(study, TRAINING, "train_log")
    mixture = table_of(study, TRAINING, "mixture").set_index("source")
    sources = {source["spec"]: source for source in trained["notes"]["sources"]}
    rows = [
        {
            "source": spec,
            "rows": int(row["rows"]),
            "tokens": int(row["tokens"]),
            "trained": f"{row['trained_share']:.0%}",
            "licence": sources[spec]["licence"] or _made_by(spec),
            "hash or revision": (sources[spec].get("sha256") or sources[spec]["revision"])[:16],
        }
        for spec, row in mixture.iterrows()
    ]
    recipe = {name: value for name, value in params.items() if name not in ("study", "mixture")}
    base = ", ".join(f"{name} {value}" for name, value in trained["notes"]["base"].items())
    ours = params["model"] == "mini"  # shipped with the package, and under its licence
    front = "license: apache-2.0\n" if ours else "license: other\n"
    front += "" if ours else f"license_name: that of the base\nbase_model: {params['model']}\n"
    front += "library_name: peft\n"
    what = (
        f"A LoRA adapter on `{params['model']}` ({base}), whose licence binds this one too. "
        f"{len(log)} steps, loss from {log['loss'].iloc[0]:.2f} to {log['loss'].iloc[-1]:.2f}, "
        f"{trained['seconds'] / 60:.0f} minutes on {_device(trained)}{_energy(trained)}. "
        f"Adapter: sha256 {trained['artefacts'][f'adapter/{WEIGHTS}'][:16]}."
    )
    return CARD.format(
        front=front,
        title=f"{study}: an adapter of the open study of Clinical Camel",
        what=what,
        trained_on=markdown(rows),
        how=markdown([{"parameter": k, "value": shown(v)} for k, v in recipe.items()]),
        loss=markdown(_losses(log)),
        figure=figure,
        exams=markdown(_exams(study, asked)),
        commit=trained["commit"],
        study=study,
    )


def _made_by(spec: str) -> str:
    """What is said of rows that a step wrote: the terms of the teacher, where there was one."""
    record = read_json((root() / spec).parent / "run.json")
    teacher = record.get("notes", {}).get("teacher")
    if not teacher:
        return "made in this study"
    return f"made in this study by {teacher['name']} {teacher['model']}".rstrip() + (
        f"; its terms: {teacher['terms']}"
    )


def _losses(log: pd.DataFrame) -> list[dict[str, str]]:
    """The loss over the run: means of a twentieth of it, at its beginning, quarters and end."""
    window = max(1, len(log) // 20)
    ends = [max(window, round(part * len(log))) for part in (0, 0.25, 0.5, 0.75, 1)]
    rows = []
    for end in ends:
        part = log.iloc[end - window : end]
        row = {"steps": f"{part['step'].iloc[0]} to {part['step'].iloc[-1]}"}
        row |= {"tokens read": f"{part['tokens'].iloc[-1]:,}"}
        row |= {"loss, nats per trained token": f"{part['loss'].mean():.3f}"}
        watched = log["validation_loss"].iloc[:end].dropna()
        if len(watched):
            row["validation loss"] = f"{watched.iloc[-1]:.3f}"
        rows.append(row)
    return rows


def _exams(study: str, record: Mapping[str, Any]) -> list[dict[str, str]]:
    """A row for each benchmark, protocol and number of shots: every model beside the baseline."""
    scores = table_of(study, EXAM, "scores")
    keys = ["benchmark", "variant", "protocol", "num_shots"]
    rows = []
    for (benchmark, variant, protocol, shots), group in scores.groupby(keys, sort=False):
        row = {"exam": benchmark, "asked": f"{protocol}, {shots}-shot", "n": int(group["n"].max())}
        if variant != "as_given":
            row["asked"] += f", {variant.replace('_', ' ')}"
        for score in group.itertuples():
            share = f"{score.accuracy:.1%} [{score.low:.1%}, {score.high:.1%}]"
            row[score.model] = share if score.n else "too long"
        rows.append(row | {"chance": f"{group['chance'].max():.0%}"})
    if not rows:
        raise PlanError(f"{study}: {EXAM} has no score; a card without exams is not written")
    return rows


def _device(record: Mapping[str, Any]) -> str:
    return " and ".join(record["device"].get("gpu") or [f"{record['device']['cpu']} (CPU)"])


def _energy(record: Mapping[str, Any]) -> str:
    if "energy_wh" not in record:
        return ""
    return f", {record['energy_wh']:.1f} Wh ({record['energy_from']})"


# ----------------------------------------------------------------------------------------- merge


def merge(study: str, folder: Path) -> pd.DataFrame:
    """The adapter of a study added into its base in full precision; model, tokenizer, card saved.

    Returns a row for each of QUESTIONS: how far the logits of the merged model are from those of
    base and adapter apart, at most, and whether its likeliest next token is theirs; and whether it
    is that of the base as it was trained on, in 4 or 8 bit. PlanError for a folder that is not
    empty, a step that is not complete, or logits more than APART from each other (nothing is
    written then).
    """
    text, params = card(study, FIGURE), record_of(study, TRAINING)["params"]
    if folder.exists() and any(folder.iterdir()):
        raise PlanError(f"{folder}: is not empty; name another folder")
    place = adapter_folder(study)
    tokenizer = models.load_tokenizer(str(place.relative_to(root())))
    prompts = [_prompt(tokenizer, question) for question in QUESTIONS]
    trained = _tuned(params["model"], params["quantize"], place)
    as_trained = [_next(trained, prompt) for prompt in prompts]
    del trained
    tuned = _tuned(params["model"], "", place)
    apart = [_next(tuned, prompt) for prompt in prompts]
    merged = tuned.merge_and_unload()
    together = [_next(merged, prompt) for prompt in prompts]
    rows = pd.DataFrame(
        {
            "question": question,
            "difference": float((one - two).abs().max() / one.abs().max()),
            "same_token": bool(one.argmax() == two.argmax()),
            "same_token_as_trained": bool(two.argmax() == three.argmax()),
        }
        for question, one, two, three in zip(QUESTIONS, apart, together, as_trained, strict=True)
    )
    if not rows["difference"].max() <= APART:
        raise PlanError(
            f"{study}: merged logits are {rows['difference'].max():.1e} of the largest apart, more "
            f"than {APART}; nothing was written"
        )
    merged.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "README.md").write_text(text, encoding="utf-8")
    shutil.copy(place.parent / FIGURE, folder)
    return rows


def adapter_folder(study: str) -> Path:
    """The folder of a study's adapter; PlanError if it is not on this machine, or is not the one
    that its run recorded."""
    place = root() / "outputs" / study / TRAINING / "adapter"
    if not (place / WEIGHTS).is_file():
        raise PlanError(f"{study}: no adapter on this machine; run {TRAINING} here first")
    if hash_file(place / WEIGHTS) != record_of(study, TRAINING)["artefacts"][f"adapter/{WEIGHTS}"]:
        raise PlanError(f"{study}: {WEIGHTS} is not what its run wrote; run {TRAINING} again")
    return place


# ------------------------------------------------------------------------------------------ push


def push(study: str, repository: str, public: bool = False, api: HfApi | None = None) -> str:
    """Uploads a study's adapter, template, tokenizer and card; returns the address.

    `repository`: owner/name on the hub, made private if it is new, and left as it is if not: only
    `public` makes it public. The token is the one of HF_TOKEN or `hf auth login`. PlanError for a
    name that is none, a run that is not complete or of uncommitted code, or without a token.
    """
    text, place = card(study, FIGURE), adapter_folder(study)
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise PlanError(f"push: {repository!r} is no hub id; write owner/name")
    if record_of(study, TRAINING)["dirty"]:
        raise PlanError(
            f"{study}: {TRAINING} ran on code that is in no commit, so nobody could repeat it; "
            "commit, and run it again"
        )
    api = api or HfApi()
    if not (api.token or get_token()):
        raise PlanError("push: no token; set HF_TOKEN or run hf auth login")
    api.create_repo(repository, private=not public, exist_ok=True)
    if public:
        api.update_repo_settings(repository, private=False)
    api.upload_folder(repo_id=repository, folder_path=place, commit_message=f"Adapter of {study}")
    for name, content in (
        (FIGURE, (place.parent / FIGURE).read_bytes()),
        ("README.md", text.encode()),
    ):
        api.upload_file(
            path_or_fileobj=content,
            path_in_repo=name,
            repo_id=repository,
            commit_message=f"Card of {study}",
        )
    return f"https://huggingface.co/{repository}"


def _tuned(model: str, quantize: str, adapter: Path) -> PeftModel:
    return PeftModel.from_pretrained(models.load_base(model, quantize), str(adapter)).eval()


def _prompt(tokenizer, question: str) -> list[int]:
    messages = [{"role": "user", "content": question}]
    return models.encode(tokenizer, models.render_chat(tokenizer, messages))


@torch.inference_mode()
def _next(model, prompt: Sequence[int]) -> torch.Tensor:
    """The logits of the next token, [vocabulary], in float32."""
    ids = torch.tensor([list(prompt)], device=model.device)
    return model(input_ids=ids).logits[0, -1].float().cpu()
