"""The adapter of a study, merged into its base model or pushed to the hub.

A merged model is saved only if its logits agree with those of base model and adapter. They are
computed in float32: in bfloat16, rounding alone is more than MAX_DIFFERENCE. So the merge needs
memory for the base model in float32; set CUDA_VISIBLE_DEVICES="" to use main memory.
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
from safetensors import SafetensorError

from clinical_camel import models
from clinical_camel.core.files import list_results
from clinical_camel.core.paths import root
from clinical_camel.release.model_card import FIGURE, format_model_card
from clinical_camel.release.records import TRAINING, WEIGHTS, require_artefact, require_record
from clinical_camel.runner.jobs import PlanError

MAX_DIFFERENCE = 1e-3  # of merged logits, as a share of the largest logit; float32 reaches 1e-6
SPARE = 50 * 10**6  # bytes: tokenizer, card, file system
QUESTIONS = (
    "What treats gout?",
    "A child has a barking cough at night. What is it?",
    "Why is the potassium low after a week of vomiting?",
    "Which vaccine is given before the spleen is taken out?",
)


def merge_adapter(study: str, folder: Path) -> pd.DataFrame:
    """Merge the adapter into its base model in float32; save model, tokenizer and card.

    Returns one row per question of QUESTIONS: `difference` of the logits between merged model and
    base model with adapter, `same_token` if both predict the same next token, and
    `same_token_as_trained` if the base model as in training with adapter predicts it too. Raises
    PlanError for a folder that is not empty or the root of a disk, a disk without space, an
    incomplete step, a model that cannot be loaded, or a difference above MAX_DIFFERENCE. The folder
    gets its name when it is complete.
    """
    card, params = format_model_card(study, FIGURE), require_record(study, TRAINING)["params"]
    folder = folder.resolve()  # a link is not replaced, its folder is
    if folder.is_mount():
        raise PlanError(f"{folder}: is the root of a disk; name a folder on it")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise PlanError(f"{folder}: is not empty; name another folder")
    if folder.is_relative_to((root() / "outputs").resolve()):
        raise PlanError(f"{folder}: is in outputs/, where only runs write; name another folder")
    adapter, partial = require_adapter(study), folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        require_space(params["model"], folder)
        merged, tokenizer, rows = _merge(params, adapter)
        difference = rows["difference"].max()
        if not difference <= MAX_DIFFERENCE:
            raise PlanError(
                f"{study}: merged logits differ by {difference:.1e} of the largest logit, more "
                f"than {MAX_DIFFERENCE}; nothing was written"
            )
        merged.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        (partial / "README.md").write_text(card, encoding="utf-8")
        shutil.copy(adapter.parent / FIGURE, partial)
    except models.ModelError as error:
        raise PlanError(f"{study}: {error}") from error
    except SafetensorError as error:  # a full disk is no OSError there
        shutil.rmtree(partial, ignore_errors=True)
        raise PlanError(f"{partial}: writing failed ({error}); free some space") from error
    if folder.exists():
        folder.rmdir()
    partial.replace(folder)
    return rows


def require_space(model: str, folder: Path) -> None:
    """Raise PlanError if the disk of a folder lacks the space for a merged model."""
    parameters = models.build_skeleton(model).num_parameters()
    need = parameters * torch.float32.itemsize + SPARE
    place = next(parent for parent in folder.absolute().parents if parent.is_dir())
    if (free := shutil.disk_usage(place).free) < need:
        raise PlanError(
            f"{folder}: {free / 1e9:.2f} GB free on this disk, the merged model needs "
            f"{need / 1e9:.2f}; free some, or name a folder on another disk"
        )


def _merge(params: Mapping[str, Any], adapter: Path) -> tuple[Any, Any, pd.DataFrame]:
    """Return the merged model, its tokenizer, and the rows of `merge_adapter`."""
    tokenizer = models.load_tokenizer(str(adapter.relative_to(root())))
    dialogues = [[{"role": "user", "content": question}] for question in QUESTIONS]
    texts = [models.render_chat(tokenizer, messages) for messages in dialogues]
    prompts = [models.tokenize_text(tokenizer, text) for text in texts]
    trained = _load_tuned(params["model"], adapter, params["quantize"], params["compute_dtype"])
    trained_logits = [_predict_next(trained, prompt) for prompt in prompts]
    del trained
    tuned = _load_tuned(params["model"], adapter, "", "float32")
    tuned_logits = [_predict_next(tuned, prompt) for prompt in prompts]
    merged = tuned.merge_and_unload()
    merged_logits = [_predict_next(merged, prompt) for prompt in prompts]
    rows = pd.DataFrame(
        {
            "question": question,
            "difference": float((one - two).abs().max() / one.abs().max()),
            "same_token": bool(one.argmax() == two.argmax()),
            "same_token_as_trained": bool(two.argmax() == three.argmax()),
        }
        for question, one, two, three in zip(
            QUESTIONS, tuned_logits, merged_logits, trained_logits, strict=True
        )
    )
    return merged, tokenizer, rows


def require_adapter(study: str) -> Path:
    """Return the folder of a study's adapter.

    Raises PlanError if it is not on this machine, or a file of it, also an additional one, differs
    from what its run recorded.
    """
    folder = root() / "outputs" / study / TRAINING / "adapter"
    if not (folder / WEIGHTS).is_file():
        raise PlanError(f"{study}: no adapter on this machine; run {TRAINING} here first")
    recorded = require_record(study, TRAINING)["artefacts"]
    names = {f"adapter/{f.relative_to(folder).as_posix()}" for f in list_results(folder, skip=())}
    for name in sorted(names | {name for name in recorded if name.startswith("adapter/")}):
        if name not in recorded:
            raise PlanError(f"{study}: {TRAINING} did not write {name}; move it elsewhere")
        require_artefact(study, TRAINING, name)
    return folder


def push_adapter(
    study: str, repository: str, public: bool = False, api: HfApi | None = None
) -> str:
    """Upload a study's adapter, template, tokenizer and card; return the address.

    `repository`: owner/name on the hub. A new one is private; only `public` makes it public. The
    token is that of HF_TOKEN or `hf auth login`. Raises PlanError for an invalid name, an
    incomplete run, a run of uncommitted code, or a missing token.
    """
    card, adapter = format_model_card(study, FIGURE), require_adapter(study)
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise PlanError(f"push: {repository!r} is not a hub id; write owner/name")
    if require_record(study, TRAINING)["dirty"]:
        raise PlanError(
            f"{study}: {TRAINING} ran on code that is in no commit, so nobody can reproduce it; "
            "commit, then run it again"
        )
    api = api or HfApi()
    if not (api.token or get_token()):
        raise PlanError("push: no token; set HF_TOKEN or run hf auth login")
    api.create_repo(repository, private=not public, exist_ok=True)
    if public:
        api.update_repo_settings(repository, private=False)
    api.upload_folder(repo_id=repository, folder_path=adapter, commit_message=f"Adapter of {study}")
    for name, content in (
        (FIGURE, (adapter.parent / FIGURE).read_bytes()),
        ("README.md", card.encode()),
    ):
        api.upload_file(
            path_or_fileobj=content,
            path_in_repo=name,
            repo_id=repository,
            commit_message=f"Card of {study}",
        )
    return f"https://huggingface.co/{repository}"


def _load_tuned(model: str, adapter: Path, quantize: str, compute_dtype: str) -> PeftModel:
    """Load base and adapter after the checks of step 03; raises ModelError as `models.load`."""
    adapters = {"tuned": str(adapter)}
    return models.load(model, adapters, quantize, compute_dtype=compute_dtype)["tuned"].activate()


@torch.inference_mode()
def _predict_next(model, prompt: Sequence[int]) -> torch.Tensor:
    """Return the logits of the next token, [vocabulary], in float32."""
    ids = torch.tensor([list(prompt)], device=model.device)
    return model(input_ids=ids).logits[0, -1].float().cpu()
