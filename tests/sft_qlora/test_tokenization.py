"""Step 02: the loss mask, what is truncated or dropped, and the validation rows."""

import dataclasses

import pytest
from tests.support.project import make_dialogue, make_messages
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import PreTrainedTokenizerFast

from clinical_camel import data, models, sft_qlora
from clinical_camel.data import Article, Section
from clinical_camel.models import IGNORE_INDEX
from clinical_camel.sft_qlora import tokenization


def word_tokenizer(*words):
    """A tokenizer whose vocabulary is these words only."""
    vocabulary = {word: i for i, word in enumerate(["<unk>", "</s>", *words])}
    words_only = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    words_only.pre_tokenizer = Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=words_only, unk_token="<unk>", eos_token="</s>", pad_token="<unk>"
    )


def test_words_without_a_token_are_rejected_with_the_first_row():
    rows = [
        Article(id=name, title="gout", sections=[Section(heading="", text=text)])
        for name, text in (("a", "it hurts"), ("b", "it hurts ω β"), ("c", "ω"))
    ]
    tokenizer = word_tokenizer("gout", "it", "hurts")
    with pytest.raises(ValueError, match="toy: .* a word of 2 of 3 rows, first in b: ω, β; remove"):
        sft_qlora.tokenize_mixture(tokenizer, {"toy": rows}, "assistant", 64)
    assert len(sft_qlora.tokenize_mixture(tokenizer, {"toy": rows[:1]}, "assistant", 64).rows) == 1
    with pytest.raises(ValueError, match="1 of 1 rows, first in gout: Question"):
        sft_qlora.tokenize_mixture(tokenizer, {"toy": [make_dialogue("gout", 1)]}, "all", 64)


def test_only_a_word_without_a_token_is_unknown(tokenizer):
    find = tokenization.find_unknown_words
    assert find(word_tokenizer("the", "token"), "the token <unk>") == ["<", "unk>"]  # as a text
    assert find(tokenizer, "ω β 漢字 ☃") == []  # bytes


def test_a_dialogue_that_is_too_long_loses_complete_exchanges_from_its_end(tokenizer):
    long = make_dialogue("case", exchanges=5)
    full = len(models.tokenize_dialogue(tokenizer, long.messages, "assistant")["input_ids"])
    tokenized = sft_qlora.tokenize_mixture(tokenizer, {"toy": [long]}, "assistant", full - 1)
    targets = [label for label in tokenized.rows[0]["labels"] if label != IGNORE_INDEX]
    expected = "".join(f"Answer {i} on case.</s>" for i in range(4))
    assert tokenizer.decode(targets) == expected
    assert tokenized.counts[["truncated", "dropped"]].to_numpy().tolist() == [[1, 0]]


def test_a_dialogue_whose_first_exchange_does_not_fit_is_dropped_and_counted(tokenizer):
    rows = [make_dialogue("a" * 400), make_dialogue("b")]  # more than half would be an error
    tokenized = sft_qlora.tokenize_mixture(tokenizer, {"toy": rows}, "assistant", 100)
    assert len(tokenized.rows) == 1
    assert tokenized.counts["dropped"].tolist() == [1]


def test_a_row_without_a_target_token_is_dropped_and_counted(tokenizer, monkeypatch):
    """A template may mark no assistant turn; the first token has no loss, nothing predicts it."""
    masked = {"input_ids": [1, 5, 6], "labels": [1, IGNORE_INDEX, IGNORE_INDEX]}
    good = {"input_ids": [1, 5, 6], "labels": [IGNORE_INDEX, 5, 6]}
    results = iter([(masked, 0), (good, 0)])
    monkeypatch.setattr(tokenization, "tokenize_to_fit", lambda *_: next(results))
    rows = {"toy": [make_dialogue("a"), make_dialogue("b")]}
    tokenized = sft_qlora.tokenize_mixture(tokenizer, rows, "assistant", 100)
    assert tokenized.rows == [good]
    assert tokenized.groups == ["b"]
    assert tokenized.counts[["rows", "without_loss", "dropped"]].to_numpy().tolist() == [[2, 1, 0]]


def test_every_token_of_a_dataset_in_loss_on_all_is_a_target(tokenizer):
    """And the other datasets have the tokens and the mask that they have without it."""
    rows = {"toy": [make_dialogue("a", 2)], "other": [make_dialogue("b", 2)]}
    usual = sft_qlora.tokenize_mixture(tokenizer, rows, "assistant", 256)
    changed = sft_qlora.tokenize_mixture(tokenizer, rows, "assistant", 256, ["toy"])
    every = sft_qlora.tokenize_mixture(tokenizer, rows, "all", 256)
    assert changed.rows == [every.rows[0], usual.rows[1]]
    assert usual.rows[0] != every.rows[0]


def test_every_token_of_an_article_is_a_target(tokenizer):
    article = Article(
        id="a", title="Gout", sections=[Section(heading="Signs", text="It hurts. " * 50)]
    )
    tokenized = sft_qlora.tokenize_mixture(tokenizer, {"toy": [article]}, "assistant", 64)
    assert all(row["labels"] == row["input_ids"] for row in tokenized.rows)
    assert max(len(row["input_ids"]) for row in tokenized.rows) == 64
    joined = [i for row in tokenized.rows for i in row["input_ids"]]
    assert tokenizer.decode(joined, skip_special_tokens=True) == data.format_article(article)
    all_but_one = len(joined) - 1  # a last window of one token is dropped: nothing predicts it
    (window,) = tokenization.tokenize_windows(tokenizer, article, all_but_one)
    assert len(window["input_ids"]) == all_but_one


def test_the_loss_mask_is_shown_in_brackets(tokenizer):
    row = models.tokenize_dialogue(tokenizer, make_dialogue("x", 2).messages, "assistant")
    text = sft_qlora.show_loss_mask(tokenizer, row)
    assert text.replace("\x1b[1;34m", "").replace("\x1b[0m", "") == (
        "<s><|user|>Question 0 on x?<|end|><|assistant|>[[Answer 0 on x.</s>]]"
        "<|user|>Question 1 on x?<|end|><|assistant|>[[Answer 1 on x.</s>]]"
    )


def test_the_dialogue_on_the_page_is_named_even_if_it_lost_its_end(tokenizer):
    article = Article(id="a", title="Gout", sections=[Section(heading="", text="Rest.")])
    sources = {"texts": [article], "talks": [make_dialogue("y"), make_dialogue("x", 4)]}
    row = models.tokenize_dialogue(tokenizer, make_dialogue("x", 2).messages, "assistant")
    text = sft_qlora.show_loss_mask(tokenizer, row)
    assert sft_qlora.find_shown(sources, text) == "talks: x"
    assert sft_qlora.find_shown({"texts": [article]}, text) == ""
    page = models.tokenize_document(tokenizer, data.format_article(article))
    assert sft_qlora.find_shown(sources, sft_qlora.show_loss_mask(tokenizer, page)) == "texts: a"


def test_validation_rows_share_no_article_with_training_rows():
    groups = [f"article {i // 5}" for i in range(100)]
    choose = tokenization.choose_validation_rows
    validation = choose(groups, 0.25, seed=0)
    training = set(range(100)) - set(validation)
    assert not {groups[i] for i in validation} & {groups[i] for i in training}
    assert len(validation) == 25
    assert choose(groups, 0.25, seed=0) == validation != choose(groups, 0.25, seed=1)
    with pytest.raises(ValueError, match="all rows are of one article"):
        choose(["gout"] * 9, 0.25, seed=0)
    with pytest.raises(ValueError, match=r"6 of 9 rows share their articles \(group 'qa_shuffled'"):
        choose(["qa_shuffled"] * 6 + ["gout", "mumps", "flu"], 0.25, seed=0)


def test_dialogues_on_one_article_are_one_group(tokenizer):
    pair = [dataclasses.replace(make_dialogue(f"gout/{i}"), source="article") for i in range(2)]
    single = dataclasses.replace(make_dialogue("own"), source="article")
    rows = {"made": [*pair, single], "chat": [make_dialogue("chat/1"), make_dialogue("chat/2")]}
    tokenized = sft_qlora.tokenize_mixture(tokenizer, rows, "assistant", 256)
    assert tokenized.groups == ["gout", "gout", "own", "chat/1", "chat/2"]


def test_a_source_of_which_most_rows_are_dropped_is_an_error(tokenizer, monkeypatch):
    rows = [make_dialogue("a" * 400), make_dialogue("c" * 400), make_dialogue("b")]
    with pytest.raises(ValueError, match="mixture: toy: in 2 of 3 rows, the first exchange does"):
        sft_qlora.tokenize_mixture(tokenizer, {"toy": rows}, "assistant", 100)
    masked = {"input_ids": [1, 5], "labels": [1, IGNORE_INDEX]}
    monkeypatch.setattr(tokenization, "tokenize_to_fit", lambda *_: (masked, 0))
    with pytest.raises(ValueError, match="mixture: toy: 3 of 3 rows have no token that counts"):
        sft_qlora.tokenize_mixture(tokenizer, {"toy": rows}, "assistant", 100)
    with pytest.raises(ValueError, match="no source has a row"):
        sft_qlora.tokenize_mixture(tokenizer, {"toy": []}, "assistant", 100)


def test_a_control_token_in_a_row_is_trained_as_text(tokenizer):
    messages = make_messages("What of <|assistant|>it</s>?", "Gout.<|end|><|user|>Thanks.")
    row = models.tokenize_dialogue(tokenizer, messages, "assistant")
    text = sft_qlora.show_loss_mask(tokenizer, row).replace("\x1b[1;34m", "").replace("\x1b[0m", "")
    assert text == (
        "<s><|user|>What of < |assistant|>it< /s>?<|end|><|assistant|>"
        "[[Gout.< |end|>< |user|>Thanks.</s>]]"
    )


def test_the_committed_token_ids_are_those_of_the_tokenizer_alone(tokenizer):
    """The rows of the embedded study contain no control token: not one id may change."""
    for spec in ("mini_chat", "mini_articles"):
        for item in data.load_training_rows(spec):
            if isinstance(item, Article):
                ids = tokenizer.encode(data.format_article(item))
                assert models.tokenize_document(tokenizer, data.format_article(item))[
                    "input_ids"
                ] == [*ids, tokenizer.eos_token_id]
                continue
            encoded = tokenizer.apply_chat_template(item.messages, return_dict=True)
            row = models.tokenize_dialogue(tokenizer, item.messages, "assistant")
            assert row["input_ids"] == encoded["input_ids"]


@pytest.mark.parametrize("fraction", [0.51, 0.99])
def test_validation_leaves_something_to_train_on(fraction):
    with pytest.raises(ValueError, match=f"validation_fraction: {fraction} of 2 articles leaves"):
        tokenization.choose_validation_rows(["gout", "mumps"], fraction, seed=0)


def test_the_targets_of_every_embedded_row_are_its_replies_with_their_end_tokens():
    folder = "outputs/mini_camel/01_dbke"
    specs = ("mini_chat", f"{folder}/dialogues.jsonl", f"{folder}/exam_dialogues.jsonl")
    rows = [row for spec in specs for row in data.load_training_rows(spec, 1.0, 0)]
    assert len(rows) == 532  # docs/recipes.md names this number
    tokenizer = models.load_tokenizer("mini")
    for row in rows:
        labels = models.tokenize_dialogue(tokenizer, row.messages, "assistant")["labels"]
        targets = tokenizer.decode([label for label in labels if label != IGNORE_INDEX])
        replies = [m["content"].strip() for m in row.messages if m["role"] == "assistant"]
        parts = targets.removesuffix(tokenizer.eos_token).split(tokenizer.eos_token)
        assert [part.strip() for part in parts] == replies, row.id
