"""Tests of models.templates, each on a small tokenizer of its model family.

The target tokens are exactly the replies with their end tokens. A prompt has exactly the first
tokens of its training row.
"""

import shutil

import pytest
from tests.support.toy_tokenizers import FAMILIES, TURNS, write_tokenizer
from transformers import DataCollatorForSeq2Seq, PreTrainedTokenizerFast

from clinical_camel import models
from clinical_camel.estimate import doctor
from clinical_camel.models import folders
from clinical_camel.models.templates import TEMPLATES

REPLIES = [m["content"] for m in TURNS if m["role"] == "assistant"]
CASES = [(family, name) for family, (_, _, names) in FAMILIES.items() for name in names]


def folder_of(family: str, root) -> str:
    folder = root / family.replace(" ", "_")
    if not folder.is_dir():
        write_tokenizer(family, folder)
    return str(folder)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("tokenizers")


@pytest.fixture(params=[*CASES, ("mini", "mini")], ids=lambda case: f"{case[1]} on {case[0]}")
def tokenizer(request, root, monkeypatch):
    family, name = request.param
    if family == "mini":
        return models.load_tokenizer("mini")
    monkeypatch.setattr(folders, "locate", lambda model: folder_of(model, root))
    return models.load_tokenizer(family, name)


def target_spans(row):
    """Return the runs of target tokens, as lists of ids."""
    spans, in_span = [], False
    for label in row["labels"]:
        if label != models.IGNORE_INDEX:
            spans += [] if in_span else [[]]
            spans[-1].append(label)
        in_span = label != models.IGNORE_INDEX
    return spans


def test_the_targets_are_exactly_the_replies_and_their_end_tokens(tokenizer):
    row = models.tokenize_dialogue(tokenizer, TURNS, "assistant")
    spans = target_spans(row)
    texts = [tokenizer.decode(ids[:-1]).strip() for ids in spans]
    assert texts == REPLIES
    assert [ids[-1] for ids in spans] == [tokenizer.eos_token_id] * 3
    pairs = zip(row["input_ids"], row["labels"], strict=True)
    assert all(label in (i, models.IGNORE_INDEX) for i, label in pairs)


def test_a_prompt_has_the_first_tokens_of_its_training_row(tokenizer):
    row = models.tokenize_dialogue(tokenizer, TURNS, "assistant")["input_ids"]
    for end in (2, 4, 6):
        prompt = models.tokenize_text(tokenizer, models.render_chat(tokenizer, TURNS[:end]))
        assert row[: len(prompt)] == prompt
        next_token = tokenizer.decode([row[len(prompt)]])
        assert TURNS[end]["content"].startswith(next_token.strip())


def test_each_exchange_has_at_most_one_bos_and_never_two_in_a_row(tokenizer):
    row = models.tokenize_dialogue(tokenizer, TURNS, "assistant")["input_ids"]
    bos = tokenizer.bos_token_id
    exchanges = 3 if tokenizer.chat_template == TEMPLATES["llama2"] else 1
    without = (TEMPLATES["plain"], TEMPLATES["chatml"])
    expected = 0 if tokenizer.chat_template in without else exchanges
    expected = len(TURNS) if tokenizer.bos_token == "<|im_start|>" else expected
    assert row.count(bos) == expected
    assert all(pair != (bos, bos) for pair in zip(row, row[1:], strict=False))


def test_the_end_token_is_a_target_and_the_pad_token_is_not(tokenizer):
    rows = [models.tokenize_dialogue(tokenizer, TURNS[:n], "assistant") for n in (3, 7)]
    batch = DataCollatorForSeq2Seq(tokenizer)(rows)
    first = batch["labels"][0].tolist()
    assert first[: len(rows[0]["labels"])] == rows[0]["labels"]
    assert set(first[len(rows[0]["labels"]) :]) == {models.IGNORE_INDEX}
    assert first.count(tokenizer.eos_token_id) == 1


def test_a_scored_reply_has_the_tokens_of_its_training_row(tokenizer):
    row = models.tokenize_dialogue(tokenizer, TURNS, "assistant")["input_ids"]
    prompt = models.render_chat(tokenizer, TURNS[:6]) + models.find_reply_prefix(tokenizer)
    pair = models.tokenize_pair(tokenizer, prompt, "A")
    ids = [*pair.context, *pair.continuation]
    assert row[: len(ids)] == ids


LAST_EXCHANGE = {  # as the original implementation of each template renders it
    "llama2": "<s>[INST] And then? [/INST] A </s>",
    "llama3": "<|start_header_id|>user<|end_header_id|>\n\nAnd then?<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\nA<|eot_id|>",
    "vicuna_v1.1": "</s>USER: And then? ASSISTANT: A</s>",
    "alpaca": "\n\n### Instruction:\nAnswer like a doctor.\n\n### Input:\nAnd then?"
    "\n\n### Response:\nA",
    "medalpaca": "\n\n### Instruction:\nAnswer like a doctor.\n\n### Input:\nAnd then?"
    "\n\n### Response:\nA</s>",
    "chatml": "<|im_start|>user\nAnd then?<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n",
    "plain": "And then?\nA</s>\n",
    "mini": "<|user|>And then?<|end|><|assistant|>A</s>",
}


def test_every_template_renders_as_the_original_implementation(tokenizer):
    text = models.render_chat(tokenizer, TURNS, generation=False)
    name = next(n for n, template in TEMPLATES.items() if template == tokenizer.chat_template)
    expected = LAST_EXCHANGE[name] + (tokenizer.eos_token if name == "alpaca" else "")
    assert text.endswith(expected)


def test_the_doctor_accepts_every_template_on_its_family(tokenizer):
    row = models.tokenize_dialogue(tokenizer, doctor.DIALOGUE, "assistant")
    assert list(doctor.check_loss_mask(tokenizer, row)) == []


def test_every_template_is_tested_on_a_tokenizer_of_its_family():
    assert {name for _, name in CASES} | {"mini"} == TEMPLATES.keys() == LAST_EXCHANGE.keys()


def test_without_a_system_message_alpaca_has_no_input_and_medalpaca_an_empty_one(root):
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder_of("llama", root))
    tokenizer.chat_template = TEMPLATES["alpaca"]
    assert "### Input" not in models.render_chat(tokenizer, TURNS[1:2])
    tokenizer.chat_template = TEMPLATES["medalpaca"]
    assert "### Input:\n\n\n### Response:\n" in models.render_chat(tokenizer, TURNS[1:2])


@pytest.mark.parametrize(
    ("family", "name", "message"),
    [
        ("llama", "chatml", r"ends a reply with <\|im_end\|>, which the tokenizer of llama does"),
        ("bloom", "llama3", r"ends a reply with <\|eot_id\|>"),
        ("llama", "plain", "begins without the <s> that the tokenizer of llama adds"),
    ],
)
def test_a_template_that_does_not_fit_the_tokenizer_is_rejected(
    family, name, message, root, monkeypatch
):
    monkeypatch.setattr(folders, "locate", lambda model: folder_of(model, root))
    with pytest.raises(models.ModelError, match=message):
        models.load_tokenizer(family, name)


def test_an_assistant_turn_without_a_mark_is_rejected(root):
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder_of("llama 3", root))
    lead = "{%- generation -%}{{- ' ' if loop.last else '' -}}"  # a space that belongs to no token
    tokenizer.chat_template = TEMPLATES["llama3"].replace("{%- generation -%}", lead)
    with pytest.raises(models.ModelError, match="marks 2 of 3 assistant turns"):
        models.tokenize_dialogue(tokenizer, TURNS, "assistant")


def test_a_template_that_writes_the_date_is_the_same_on_every_day(project):
    shutil.copytree(models.locate("mini"), project.root / "base")
    file = project.root / "base" / "chat_template.jinja"
    file.write_text(
        file.read_text().replace("messages -%}", "messages -%}{{ strftime_now('%Y') }}", 1)
    )
    tokenizer = models.load_tokenizer("base")
    text = models.render_chat(tokenizer, TURNS[1:2])
    assert text == "<s>26 Jul 2024<|user|>My toe is hot and swollen. Why?<|end|><|assistant|>"
    tokenizer.save_pretrained(project.root / "base")
    assert models.load_tokenizer("base").chat_template == tokenizer.chat_template
