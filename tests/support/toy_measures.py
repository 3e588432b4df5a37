"""Measurements of policies as tables, with known changes."""

import pandas as pd

BASE = {"kl": 0.0, "tokens": 10, "entropy": 1.0, "truncated": 0, "new_word": 0}


def make_replies(changes, seeds=(0, 1), methods=("ppo",), steps=(0, 10)):
    """Eight prompts of four subjects; `changes`: (proxy, gold, tokens) after each step."""
    rows = []
    for method in methods:
        for seed in seeds:
            for step in steps:
                proxy, gold, tokens = changes if step else (0.0, 0.0, 0)
                for i in range(8):
                    noise = 0.01 * ((3 * i + seed) % 5)
                    rows.append(
                        {"method": method, "seed": seed, "step": step, "prompt_id": f"p{i}"}
                        | {"group": f"g{i // 2}", "reply": f"text {step}", **BASE}
                        | {"proxy": 0.1 * i + proxy * (1 + noise), "gold": 0.5 + gold * (1 + noise)}
                        | {"tokens": 10 + tokens, "kl": 2.0 if step else 0.0}
                    )
                    rows[-1]["objective"] = rows[-1]["proxy"] - 0.05 * rows[-1]["kl"]
    return pd.DataFrame(rows)


def make_exams(change=0, methods=("ppo",), seeds=(0, 1)):
    rows = [
        {"method": method, "seed": seed, "step": step, "exam": exam, "question_id": f"q{i}"}
        | {"group": f"g{i}", "correct": int(i < 3 + (change if step else 0))}
        | {"chance": 0.25}
        for method in methods
        for seed in seeds
        for step in (0, 10)
        for exam in ("exam", "primer_exam")
        for i in range(24)
    ]
    return pd.DataFrame(rows)
