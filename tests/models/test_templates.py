"""Chat templates, each on a tokenizer made here with its family's algorithm and special tokens.

What is trained is exactly the replies with their end tokens; what a model is asked is exactly how
its training rows begin.
"""

import pytest
from tests.support.toy_tokenizers import FAMILIES, TURNS, write_tokenizer
from transformers import PreTrainedTokenizerFast

from clinical_camel import models
from clinical_camel.estimate import doctor
from clinical_camel.models import loading
from clinical_camel.models.templates import REPLY_ENDS, TEMPLATES

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
    monkeypatch.setattr(loading, "locate", lambda model: folder_of(model, root))
    return models.load_tokenizer(family, name)


def spans(row):
    """The stretches of trained tokens, as lists of ids."""
    found, before = [], False
    for label in row["labels"]:
        if label != models.IGNORE:
            found += [] if before else [[]]
            found[-1].append(label)
        before = label != models.IGNORE
    return found


def test_exactly_the_replies_and_their_end_tokens_are_trained(tokenizer):
    row = models.encode_dialogue(tokenizer, TURNS, "assistant")
    trained = spans(row)
    texts = [tokenizer.decode(ids[:-1]).strip() for ids in trained]
    assert texts == REPLIES
    assert [ids[-1] for ids in trained] == [tokenizer.eos_token_id] * 3
    kept = [(i, label) for i, label in zip(row["input_ids"], row["labels"], strict=True)]
    assert all(label in (i, models.IGNORE) for i, label in kept)


def test_a_model_is_asked_exactly_as_its_training_rows_begin(tokenizer):
    row = models.encode_dialogue(tokenizer, TURNS, "assistant")["input_ids"]
    for end in (2, 4, 6):
        prompt = models.encode(tokenizer, models.render_chat(tokenizer, TURNS[:end]))
        assert row[: len(prompt)] == prompt
        following = row[len(prompt)]
        reply = TURNS[end]["content"]
        assert reply.startswith(tokenizer.decode([following]).strip())


def test_there_is_one_bos_and_never_two_in_a_row(tokenizer, request):
    row = models.encode_dialogue(tokenizer, TURNS, "assistant")["input_ids"]
    bos = tokenizer.bos_token_id
    exchanges = 3 if tokenizer.chat_template == TEMPLATES["llama2"] else 1
    wanted = (
        0 if tokenizer.chat_template in (TEMPLATES["plain"], TEMPLATES["chatml"]) else exchanges
    )
    assert row.count(bos) == wanted
    assert all(pair != (bos, bos) for pair in zip(row, row[1:], strict=False))


def test_the_pad_token_is_never_trained_but_the_end_token_is(tokenizer):
    from transformers import DataCollatorForSeq2Seq

    rows = [models.encode_dialogue(tokenizer, TURNS[:n], "assistant") for n in (3, 7)]
    batch = DataCollatorForSeq2Seq(tokenizer)(rows)
    first = batch["labels"][0].tolist()
    assert first[: len(rows[0]["labels"])] == rows[0]["labels"]
    assert set(first[len(rows[0]["labels"]) :]) == {models.IGNORE}
    assert first.count(tokenizer.eos_token_id) == 1


def test_a_reply_that_is_scored_has_the_tokens_of_one_that_is_trained(tokenizer):
    row = models.encode_dialogue(tokenizer, TURNS, "assistant")["input_ids"]
    prompt = models.render_chat(tokenizer, TURNS[:6]) + models.reply_lead(tokenizer)
    pair = models.encode_pair(tokenizer, prompt, "A")
    whole = [*pair.context, *pair.continuation]
    assert row[: len(whole)] == whole


WRITTEN = {  # the last exchange as the source of each template writes it
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


def test_every_template_writes_as_its_source_does(tokenizer):
    text = models.render_chat(tokenizer, TURNS, generation=False)
    name = next(n for n, template in TEMPLATES.items() if template == tokenizer.chat_template)
    written = WRITTEN[name] + (tokenizer.eos_token if name == "alpaca" else "")
    assert text.endswith(written)


def test_the_doctor_finds_nothing_wrong_with_a_template_on_its_own_family(tokenizer):
    row = models.encode_dialogue(tokenizer, doctor.ASKED, "assistant")
    assert list(doctor.template_problems(tokenizer, row)) == []


def test_every_template_is_tried_on_a_tokenizer_of_its_family():
    assert {name for _, name in CASES} | {"mini"} == TEMPLATES.keys() == WRITTEN.keys()


def test_without_a_system_message_alpaca_has_no_input_and_medalpaca_an_empty_one(root):
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder_of("llama", root))
    tokenizer.chat_template = TEMPLATES["alpaca"]
    assert "### Input" not in models.render_chat(tokenizer, TURNS[1:2])
    tokenizer.chat_template = TEMPLATES["medalpaca"]
    assert "### Input:\n\n\n### Response:\n" in models.render_chat(tokenizer, TURNS[1:2])


@pytest.mark.parametrize(
    ("family", "name", "says"),
    [
        ("llama", "chatml", r"ends a reply with <\|im_end\|>, which the tokenizer of llama does"),
        ("bloom", "llama3", r"ends a reply with <\|eot_id\|>"),
        ("llama", "plain", "begins without the <s> that the tokenizer of llama adds"),
        ("llama", "vicuna", "'vicuna' is not one of mini, llama2"),
    ],
)
def test_a_template_that_does_not_fit_the_tokenizer_is_refused(
    family, name, says, root, monkeypatch
):
    monkeypatch.setattr(loading, "locate", lambda model: folder_of(model, root))
    with pytest.raises(models.ModelError, match=says):
        models.load_tokenizer(family, name)


def test_the_end_of_a_reply_is_what_ends_a_generation(root, monkeypatch):
    monkeypatch.setattr(loading, "locate", lambda model: folder_of(model, root))
    for family, name in CASES:
        tokenizer = models.load_tokenizer(family, name)
        assert tokenizer.eos_token == REPLY_ENDS.get(name, FAMILIES[family][1]["eos_token"])


def test_a_turn_that_loses_its_mark_is_an_error(root):
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder_of("llama 3", root))
    lead = "{%- generation -%}{{- ' ' if loop.last else '' -}}"  # a blank that no token counts for
    tokenizer.chat_template = TEMPLATES["llama3"].replace("{%- generation -%}", lead)
    with pytest.raises(models.ModelError, match="marks 2 of 3 assistant turns"):
        models.encode_dialogue(tokenizer, TURNS, "assistant")
