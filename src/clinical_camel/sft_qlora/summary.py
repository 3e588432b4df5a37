"""What a training showed, in sentences computed from its tables."""

import math

import pandas as pd


def describe_training(mixture: pd.DataFrame, log: pd.DataFrame, sizes: pd.DataFrame) -> list[str]:
    """Return the result of step 02 as plain sentences.

    `mixture`: counts of `tokenize_mixture`. `log`: the log of `train`. `sizes`: of `save_adapter`.
    """
    return [
        _describe_data(mixture),
        _describe_adapter(sizes),
        _describe_loss(log),
        *_describe_validation(log),
        "All of this is about the training data. Whether the model can use what it learned is the "
        "question of step 03.",
    ]


def _describe_data(mixture: pd.DataFrame) -> str:
    rows, tokens, targets = (int(mixture[c].sum()) for c in ("rows", "tokens", "target_tokens"))
    lost = int(mixture["dropped"].sum() + mixture["without_loss"].sum())
    dropped = f" {lost} more rows were dropped." if lost else ""
    shortened = int(mixture["truncated"].sum())
    truncated = f" {shortened} of them lost their last exchanges." if shortened else ""
    return (
        f"The training data have {rows - lost:,} rows with {tokens:,} tokens; "
        f"{targets / tokens:.0%} of these tokens count in the loss.{truncated}{dropped}"
    )


def _describe_adapter(sizes: pd.DataFrame) -> str:
    parameters = sizes.set_index("part")["parameters"]
    share = parameters["adapter"] / parameters["base"]
    return (
        f"The adapter has {parameters['adapter']:,} parameters, {share:.2g} times as many as the "
        f"frozen base model ({parameters['base']:,})."
    )


def _describe_loss(log: pd.DataFrame) -> str:
    window = max(1, len(log) // 20)
    first, last = log["loss"].head(window).mean(), log["loss"].tail(window).mean()
    if last >= first:
        return (
            f"The loss did not fall: {first:.2f} nats per target token in the first twentieth of "
            f"{len(log):,} steps, {last:.2f} in the last. Check learning_rate and the data."
        )
    return (
        f"The loss fell from {first:.2f} to {last:.2f} nats per target token (means of the first "
        f"and the last twentieth of {len(log):,} steps). A typical correct token had a probability "
        f"{_describe_probability(first)} at the start and {_describe_probability(last)} at the end."
    )


def _describe_probability(loss: float) -> str:
    """Return the probability of a token with this loss, in words after "a probability"."""
    probability = math.exp(-loss)
    return "below 1%" if probability < 0.01 else f"of {probability:.0%}"


def _describe_validation(log: pd.DataFrame) -> list[str]:
    validation = log.dropna(subset=["validation_loss"])
    if validation.empty:
        return []
    best, last = validation.loc[validation["validation_loss"].idxmin()], validation.iloc[-1]
    text = (
        f"On articles without training, the loss was lowest at step {best['step']:.0f} "
        f"({best['validation_loss']:.2f}); the adapter of that step is saved."
    )
    if last["validation_loss"] > best["validation_loss"]:
        text += f" It rose to {last['validation_loss']:.2f} by step {last['step']:.0f}: the model "
        text += "then mostly memorised its training data."
    return [text]
