"""The trainer's history as a table."""

from clinical_camel.sft_qlora import log


def test_the_token_count_continues_after_a_resume():
    history = [
        {"step": s, "loss": 1.0, "learning_rate": 0.1, "grad_norm": 1.0, "num_tokens": n}
        for s, n in ((1, 10.0), (2, 20.0), (3, 5.0))
    ]
    assert log.tabulate_history(history)["tokens"].tolist() == [10, 20, 25]
