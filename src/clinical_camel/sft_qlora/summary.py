"""What a training showed, in sentences computed from its tables."""

import math

import pandas as pd

from clinical_camel.sft_qlora.adapter import QUANTIZED
from clinical_camel.sft_qlora.log import find_window
from clinical_camel.sft_qlora.settings import Recipe

MB = 10**6


def describe_training(
    mixture: pd.DataFrame, log: pd.DataFrame, sizes: pd.DataFrame, recipe: Recipe
) -> list[str]:
    """Return the result of step 02 as plain sentences.

    `mixture`: counts of `tokenize_mixture`. `log`: the log of `train`. `sizes`: of `save_adapter`.
    """
    return [
        _describe_data(mixture, recipe.prompt_weight),
        _describe_adapter(sizes),
        _describe_memory(sizes),
        _describe_loss(log),
        *_describe_validation(log, recipe.load_best_model_at_end),
        "All of this is about the training data. Whether the model can use what it learned is the "
        "question of step 03.",
    ]


def _describe_data(mixture: pd.DataFrame, prompt_weight: float) -> str:
    rows, tokens, targets = (int(mixture[c].sum()) for c in ("rows", "tokens", "target_tokens"))
    lost = int(mixture["dropped"].sum() + mixture["without_loss"].sum())
    dropped = f" {lost} more rows were dropped." if lost else ""
    shortened = int(mixture["truncated"].sum())
    truncated = f" {shortened} of them lost their last exchanges." if shortened else ""
    others = f" with weight 1, the others with weight {prompt_weight:g}" if prompt_weight else ""
    return (
        f"The training data have {rows - lost:,} rows with {tokens:,} tokens; "
        f"{targets / tokens:.0%} of these tokens count in the loss{others}.{truncated}{dropped}"
    )


def _describe_adapter(sizes: pd.DataFrame) -> str:
    parameters = sizes.set_index("part")["parameters"]
    share = parameters["adapter"] / parameters["base"]
    return (
        f"The adapter has {parameters['adapter']:,} parameters, {share:.2g} times as many as the "
        f"frozen base model ({parameters['base']:,})."
    )


def _describe_memory(sizes: pd.DataFrame) -> str:
    size = sizes.set_index("part")[["bytes", "bytes_in_16_bits"]] / MB
    base, adapter = size.loc["base"], size.loc["adapter"]
    text = (
        f"The weights of the base model take {base['bytes']:,.2f} MB as loaded here; in 16 bits, "
        f"they would take {base['bytes_in_16_bits']:,.2f} MB."
    )
    if QUANTIZED in size.index:
        layers = size.loc[QUANTIZED]
        text += (
            f" The quantised layers alone take {layers['bytes']:,.2f} MB instead of "
            f"{layers['bytes_in_16_bits']:,.2f} MB "
            f"({layers['bytes'] / layers['bytes_in_16_bits']:.0%})."
        )
    return f"{text} The weights of the adapter take {adapter['bytes']:,.2f} MB."


def format_headline(log: pd.DataFrame) -> str:
    """Return the mean loss at the start and at the end of a training, in one line."""
    first, last = _average_ends(log)
    return (
        f"loss {first:.2f} to {last:.2f} "
        f"(means of the first and the last twentieth of {len(log):,} steps)"
    )


def _average_ends(log: pd.DataFrame) -> tuple[float, float]:
    """Return the mean loss of the first and of the last twentieth of the steps."""
    window = find_window(log)
    return log["loss"].head(window).mean(), log["loss"].tail(window).mean()


def _describe_loss(log: pd.DataFrame) -> str:
    first, last = _average_ends(log)
    if last >= first:
        return (
            f"The loss did not fall: {first:.2f} nats per target token in the first twentieth of "
            f"{len(log):,} steps, {last:.2f} in the last. Check learning_rate and the data."
        )
    return (
        f"The loss fell from {first:.2f} to {last:.2f} nats per target token (means of the first "
        f"and the last twentieth of {len(log):,} steps). The geometric mean of the correct tokens' "
        f"probabilities is {_format_probability(first)} at the start and "
        f"{_format_probability(last)} at the end."
    )


def _format_probability(loss: float) -> str:
    """Return the probability of a token with this loss."""
    probability = math.exp(-loss)
    return "below 1%" if probability < 0.01 else f"{probability:.0%}"


def _describe_validation(log: pd.DataFrame, saved_best: bool) -> list[str]:
    validation = log.dropna(subset=["validation_loss"])
    if validation.empty:
        return []
    best, last = validation.loc[validation["validation_loss"].idxmin()], validation.iloc[-1]
    text = (
        f"On articles without training, the loss was lowest at step {best['step']:.0f} "
        f"({best['validation_loss']:.2f})."
    )
    if last["validation_loss"] > best["validation_loss"]:
        text += (
            f" It was {last['validation_loss']:.2f} at step {last['step']:.0f}: after its lowest "
            "point, more training no longer helped with other articles."
        )
    saved = "of that step" if saved_best else f"of the last step, {log['step'].iloc[-1]:.0f},"
    return [f"{text} The adapter {saved} is saved."]
