"""The result of step 02 in sentences, each number from a table."""

import pandas as pd
import pytest

from clinical_camel import sft_qlora

MIXTURE = pd.DataFrame(
    {
        "rows": [10, 5],
        "truncated": [2, 0],
        "dropped": [0, 3],
        "without_loss": [0, 1],
        "tokens": [1500, 500],
        "target_tokens": [700, 300],
    }
)
SIZES = pd.DataFrame(
    {
        "part": ["adapter", "base", "quantised layers of the base"],
        "parameters": [2_000, 1_000_000, 800_000],
        "bytes": [8_000, 1_230_000, 430_000],
        "bytes_in_16_bits": [4_000, 2_000_000, 1_600_000],
    }
)


RECIPE = sft_qlora.Recipe(study="toy")


def make_log(losses, validation=()):
    log = pd.DataFrame({"step": range(1, len(losses) + 1), "loss": losses})
    return log.assign(validation_loss=pd.Series(validation, dtype=float))


def test_a_training_is_described_by_its_tables():
    sentences = sft_qlora.describe_training(
        MIXTURE, make_log([3.0] * 20 + [0.1] * 20), SIZES, RECIPE
    )
    assert sentences == [
        "The training data have 11 rows with 2,000 tokens; 50% of these tokens count in the loss. "
        "2 of them lost their last exchanges. 4 more rows were dropped.",
        "The adapter has 2,000 parameters, 0.002 times as many as the frozen base model "
        "(1,000,000).",
        "The weights of the base model take 1.23 MB as loaded here; in 16 bits, they would take "
        "2.00 MB. The quantised layers alone take 0.43 MB instead of 1.60 MB (27%). The weights of "
        "the adapter take 0.01 MB.",
        "The loss fell from 3.00 to 0.10 nats per target token (means of the first and the last "
        "twentieth of 40 steps). The geometric mean of the correct tokens' probabilities is 5% "
        "at the start and 90% at the end.",
        "All of this is about the training data. Whether the model can use what it learned is the "
        "question of step 03.",
    ]


def test_a_prompt_weight_is_stated():
    first = sft_qlora.describe_training(
        MIXTURE, make_log([3.0]), SIZES, RECIPE.model_copy(update={"prompt_weight": 0.1})
    )[0]
    assert (
        "50% of these tokens count in the loss with weight 1, the others with weight 0.1." in first
    )


def test_a_loss_that_rose_is_not_called_a_success():
    sentences = sft_qlora.describe_training(MIXTURE, make_log([3.2, 3.4, 3.59]), SIZES, RECIPE)
    assert sentences[3].startswith("The loss did not fall: 3.20 nats")
    assert "3.59 in the last" in sentences[3]


def test_a_base_without_quantised_layers_has_no_sentence_on_them():
    sentences = sft_qlora.describe_training(MIXTURE, make_log([3.0]), SIZES[:2], RECIPE)
    assert "would take 2.00 MB. The weights of the adapter" in sentences[2]


def test_the_headline_has_the_means_that_the_sentences_have():
    log = make_log([4.0, 2.0] + [1.0] * 36 + [0.3, 0.1])
    headline = sft_qlora.format_headline(log)
    assert headline == "loss 3.00 to 0.20 (means of the first and the last twentieth of 40 steps)"
    assert "from 3.00 to 0.20" in sft_qlora.describe_training(MIXTURE, log, SIZES, RECIPE)[3]


def test_a_small_probability_is_not_called_zero():
    sentences = sft_qlora.describe_training(MIXTURE, make_log([9.95, 2.46]), SIZES, RECIPE)
    assert "is below 1% at the start and 9% at the end" in sentences[3]


@pytest.mark.parametrize(
    ("saved_best", "saved"), [(True, "of that step"), (False, "of the last step, 3,")]
)
def test_validation_names_the_step_that_is_saved(saved_best, saved):
    log = make_log([3.0, 2.0, 1.0], [2.5, 2.2, 2.4])
    recipe = RECIPE.model_copy(update={"load_best_model_at_end": saved_best})
    (sentence,) = sft_qlora.describe_training(MIXTURE, log, SIZES, recipe)[4:-1]
    assert "lowest at step 2 (2.20). It was 2.40 at step 3: after" in sentence
    assert "no longer helped" in sentence
    assert sentence.endswith(f"The adapter {saved} is saved.")


def test_a_validation_loss_that_fell_to_the_end_has_no_such_sentence():
    log = make_log([3.0, 2.0], [2.5, 2.2])
    (sentence,) = sft_qlora.describe_training(MIXTURE, log, SIZES, RECIPE)[4:-1]
    assert "no longer helped" not in sentence
