"""Results of several studies, made up in the real file formats, for the tests of step 00."""

import json

import pandas as pd

from clinical_camel.controlled_comparison.settings import ALL
from clinical_camel.core.hashing import hash_file

EXAM_PARAMS = {"adapters": {"base": "", "tuned": "x"}, "protocols": ["option_text"]}
EXAM_PARAMS |= {"num_shots": [0], "model": "mini"}
OUTCOMES = {
    "plain question": "mini_exam/option_text",
    "conversation": "mini_exam/conversation",
    "reversed": "mini_exam_reversed/option_text",
    "free answer": "mini_exam/plain_reply",
    "primer exam": "mini_exam_primer/option_text",
    "by length": "mini_exam/option_text/as_given/correct_norm",
    "primer exam by length": "mini_exam_primer/option_text/as_given/correct_norm",
}

TRAINED = {"parameters": 1_000_000, "adapter_parameters": 590_000, "is_unstable": False}


def save(project, study, step, params=None, **tables):
    """Write the tables of a step and its run record."""
    hashes = {}
    for name, rows in tables.items():
        text = pd.DataFrame(rows).to_csv(index=False)
        file = project.file(f"outputs/{study}/{step}/{name}.csv", text)
        hashes[f"{name}.csv"] = hash_file(file)
    record = {"study": study, "step": step, "status": "complete", "params": params or {}}
    record |= {"notes": {}, "artefacts": hashes}
    project.file(f"outputs/{study}/{step}/run.json", json.dumps(record))


def score(model, accuracy, protocol="option_text", exam="mini_exam", **others):
    """A row of scores.csv of step 03, with an interval of 10 points."""
    row = {"benchmark": exam, "variant": "as_given", "protocol": protocol, "num_shots": 0}
    row |= {"model": model, "n": 300, "accuracy": accuracy, "chance": 0.25, "majority": 0.27}
    row |= {"most_chosen": 0.4}
    return row | {"low": accuracy - 0.05, "high": accuracy + 0.05} | others


def difference(model, reference, value, p_holm, protocol="option_text", exam="mini_exam"):
    """A row of comparison.csv of step 03."""
    row = {"benchmark": exam, "variant": "as_given", "protocol": protocol, "num_shots": 0}
    row |= {"model": model, "reference": reference, "n": 300, "difference": value}
    return row | {"low": value - 0.05, "high": value + 0.05, "p_holm": p_holm}


def save_control(project, study="mini_camel_raw", p_holm=0.01, gain=0.15, primer=0.25):
    """A control study: base, raw articles and dialogues, in two question forms."""
    scores, rows = [], []
    for protocol, share in (("option_text", 1.0), ("chat", 0.0)):
        accuracies = {"base": 0.25, "raw": 0.25 + share * 0.1, "dialogues": 0.25}
        accuracies["dialogues"] = accuracies["raw"] + share * gain
        scores += [score(model, value, protocol) for model, value in accuracies.items()]
        p = p_holm if share else 1.0
        rows.append(difference("dialogues", "raw", share * gain, p, protocol))
    for model, value in {"base": 0.6, "raw": primer, "dialogues": primer}.items():
        scores.append(score(model, value, exam="mini_exam_primer"))
    adapters = {name: f"outputs/{name}/02_sft_qlora/adapter" for name in ("raw", "dialogues")}
    params = EXAM_PARAMS | {"adapters": {"base": ""} | adapters}
    params |= {"model": "mini" if study == "mini_camel_raw" else "smollm2_135m"}
    save(project, study, "03_eval_fewshot", params, scores=scores, comparison=rows)


def save_writers(project, gain=-0.1, p_holm=0.01):
    """Dialogues by rules and by a language model, one training each."""
    accuracies = {"base": 0.25, "dialogues": 0.45, "llm": 0.45 + gain}
    scores = [score(model, value) for model, value in accuracies.items()]
    rows = [difference("llm", "dialogues", gain, p_holm)]
    rows.append(difference("llm", "dialogues", 0.0, 1.0, "chat"))
    save(project, "mini_camel_llm", "03_eval_fewshot", EXAM_PARAMS, scores=scores, comparison=rows)


def save_coverage(project):
    """The scores of both writers, apart for articles with and without a dialogue."""
    same = {"protocol": "option_text", "num_shots": 0, "model": "llm", "n": 258}
    same |= {"difference": -0.09, "difference_low": -0.17, "difference_high": -0.02}
    rows = [same | {"has_dialogue": True}, same | {"has_dialogue": False, "difference": -0.4}]
    text = pd.DataFrame(rows).to_csv(index=False)
    project.file("experiments/results/llm_coverage.csv", text)


def contrast(treatment, control, value, verdict, outcome="plain question", **others):
    """A row of contrasts.csv of step 06."""
    is_primary = outcome == "plain question"
    row = {"treatment": treatment, "control": control, "outcome": outcome, "n": 260, "seeds": 10}
    row |= {"is_primary": is_primary, "difference": value, "low": value - 0.03}
    row |= {"high": value + 0.03, "p_holm": 0.004 if is_primary else None}
    return (
        row | {"min_detectable_effect": 0.06, "verdict": verdict if is_primary else None} | others
    )


def list_trainings(*arms, **steps):
    """Tables of step 06 with equal trainings of these arms, apart from `steps` by arm.

    Only the arm `raw` has plain text.
    """
    amounts = {"target_tokens": 100, "tokens": 100, "exposures_mean": 10}
    equality = [
        {"arm": arm, "steps": steps.get(arm, 100), "format": "plain" if arm == "raw" else "chat"}
        | amounts
        for arm in arms
    ]
    same = {"learning_rate": 8e-3, "batch_size": 4} | TRAINED
    return {"equality": equality, "trainings": [{"arm": arm} | same for arm in arms]}


ACCURACIES = {"base": 0.25, "raw": 0.37, "dialogue": 0.49, "monologue": 0.4, "qa": 0.53}


def save_comparison(
    project,
    verdict="helps",
    value=0.12,
    primer=0.3,
    by_length=None,
    study="dbke_effect",
    outcomes=OUTCOMES,
    **others,
):
    """A controlled comparison: contrasts in two question forms, scores of five arms.

    `primer`: the accuracy in the primer exam after tuning; `by_length`: with likelihoods divided by
    the length, if not the same. `others` replace tables.
    """
    rows = [
        contrast("dialogue", "raw", value, verdict),
        contrast("dialogue", "monologue", 0.01, "no effect larger than 5 points"),
        contrast("dialogue", "qa", -0.04, "cannot tell", p_holm=0.3),
        contrast("dialogue", "qa", -0.08, "", outcome=f"plain question{ALL}", n=312),
        contrast("dialogue", "raw", 0.05, "", outcome="conversation"),
        contrast("dialogue", "raw", 0.07, "", outcome="by length"),
    ]
    scores = [
        {"outcome": outcome, "arm": arm, "n": 260, "seeds": 1 if arm == "base" else 10}
        | {"accuracy": accuracy, "low": accuracy - 0.04, "high": accuracy + 0.04, "chance": 0.25}
        for outcome in outcomes
        for arm, accuracy in ACCURACIES.items()
    ]
    for row in scores:
        if row["outcome"].startswith("primer exam"):
            tuned = by_length if by_length and row["outcome"].endswith("by length") else primer
            value = 0.6 if row["arm"] == "base" else tuned
            row |= {"accuracy": value, "low": value - 0.06, "high": value + 0.06}
    params = {"outcomes": outcomes, "smallest_effect": 0.05}
    amounts = {"raw": 100, "dialogue": 105, "monologue": 80, "qa": 105}
    equality = [
        {"arm": arm, "target_tokens": count, "tokens": 100, "steps": 100, "exposures_mean": 10}
        | {"format": "chat" if count == 105 else f"plain text with {arm} title"}
        for arm, count in amounts.items()
    ]
    trainings = [
        {"arm": arm, "learning_rate": 8e-3 if arm == "dialogue" else 4e-3}
        | {"batch_size": 17 if arm == "qa" else 4}
        | TRAINED
        for arm in amounts
        for _ in range(2)
    ]
    runs = [{"arm": "raw", "data_seed": 3, "training_seed": 3, "status": "complete"}]
    rates = [
        {"arm": arm, "learning_rate": rate, "is_chosen": rate == chosen}
        for arm, chosen in {"raw": 4e-3, "monologue": 4e-3, "dialogue": 8e-3}.items()
        for rate in (2e-3, 4e-3, 8e-3)
    ]
    tables = {"contrasts": rows, "scores": scores, "equality": equality, "rates": rates}
    tables |= {"runs": runs, "trainings": trainings} | others
    save(project, study, "06_controlled_comparison", params, **tables)


def save_notes(project, study="mini_camel", p_holm=0.3, value=0.1, written=26):
    """Scored notes: outputs that are notes, the right diagnosis, ROUGE-L, supported sentences."""
    named = "diagnosis named as in the visit"
    essentials = [
        {"model": model, "item": named, "n": 28, "correct": count}
        for model, count in (("base", 7), ("tuned", 8), ("majority section", 0))
    ]
    statuses = [
        {"model": model, "notes": 28, "ok": count, "unfinished": 1, "looping": 27 - count}
        for model, count in (("base", 27), ("tuned", written))
    ]
    faithful = [
        {"model": model, "notes": "notes", "measure": "sentences", "kind": "supported"}
        | {"items": 300, "share": 0.6, "low": 0.5, "high": 0.7}
        for model in ("base", "tuned")
    ]
    row = {"part": "whole", "metric": "rougeL", "n": 28, "difference": value, "low": value - 0.1}
    row |= {"high": value + 0.1, "p_holm": p_holm, "model": "tuned"}
    tables = {"essentials": essentials, "faithfulness_summary": faithful, "comparison": [row]}
    params = {"model": "mini" if study == "mini_camel" else study}
    save(project, study, "04_note_synthesis", params, statuses=statuses, **tables)


def save_rewards(project, accuracy=0.7, study="clinicalgpt_mini"):
    """Two methods: the gold reward falls with one, both rise with one.

    `accuracy`: of the reward model.
    """
    changes = {"ppo": (0.3, -0.2), "dpo": (0.1, 0.1)}
    rows = [
        {"method": method, "measure": measure, "n": 60, "seeds": 5, "change": change}
        | {"start": 0.4, "low": change - 0.05, "high": change + 0.05, "kl": 1.0, "p_holm": 0.01}
        for method, values in changes.items()
        for measure, change in zip(("proxy", "gold"), values, strict=True)
    ]
    pairs = {"part": "held out", "subset": "all", "n": 90}
    accuracy = [pairs | {"accuracy": accuracy, "low": accuracy - 0.1, "high": accuracy + 0.1}]
    rows.append(rows[0] | {"measure": "objective", "change": -0.5})
    shown = {"ppo": (0.2, 0.15, 0.25), "dpo": (0.0, -0.05, 0.05)}
    parts = [
        {"part": "proxy_same_gold", "method": method, "control": control, "share": 0.7}
        | {"kl": 0.9, "control_kl": 0.4}
        | dict(zip(("change", "low", "high"), shown[method], strict=True))
        for method, control in (("ppo", "SFT"), ("ppo", "dpo"), ("dpo", "SFT"))
    ]
    tables = {"comparison": rows, "parts": parts, "reward_accuracy": accuracy}
    params = {"rl_steps": 12, "prompts_per_step": 8, "num_generations": 4}
    params["model"] = "mini" if study == "clinicalgpt_mini" else "smollm2_135m"
    save(project, study, "07_reward_and_rl", params, **tables)
