"""The result of step 02 in sentences, each number from a table."""

import pandas as pd

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
SIZES = pd.DataFrame({"part": ["adapter", "base"], "parameters": [2_000, 1_000_000]})


def make_log(losses, validation=()):
    log = pd.DataFrame({"step": range(1, len(losses) + 1), "loss": losses})
    return log.assign(validation_loss=pd.Series(validation, dtype=float))


def test_a_training_is_described_by_its_tables():
    sentences = sft_qlora.describe_training(MIXTURE, make_log([3.0] * 20 + [0.1] * 20), SIZES)
    assert sentences == [
        "The training data have 11 rows with 2,000 tokens; 50% of these tokens count in the loss. "
        "2 of them lost their last exchanges. 4 more rows were dropped.",
        "The adapter has 2,000 parameters, 0.002 times as many as the frozen base model "
        "(1,000,000).",
        "The loss fell from 3.00 to 0.10 nats per target token (means of the first and the last "
        "twentieth of 40 steps). A typical correct token had a probability of 5% at the start and "
        "of 90% at the end.",
        "All of this is about the training data. Whether the model can use what it learned is the "
        "question of step 03.",
    ]


def test_a_loss_that_rose_is_not_called_a_success():
    sentences = sft_qlora.describe_training(MIXTURE, make_log([3.2, 3.4, 3.59]), SIZES)
    assert sentences[2].startswith("The loss did not fall: 3.20 nats")
    assert "3.59 in the last" in sentences[2]


def test_a_small_probability_is_not_called_zero():
    sentences = sft_qlora.describe_training(MIXTURE, make_log([9.95, 2.46]), SIZES)
    assert "had a probability below 1% at the start and of 9% at the end" in sentences[2]


def test_validation_names_the_step_that_is_saved():
    log = make_log([3.0, 2.0, 1.0], [2.5, 2.2, 2.4])
    (sentence,) = sft_qlora.describe_training(MIXTURE, log, SIZES)[3:-1]
    assert "lowest at step 2 (2.20); the adapter of that step is saved" in sentence
    assert "rose to 2.40 by step 3" in sentence
