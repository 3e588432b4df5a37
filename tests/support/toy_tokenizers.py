"""Small tokenizers with the algorithm and the special tokens of their model family.

They are trained on one conversation. Problems with spaces, bytes and special tokens show up without
a download.
"""

import functools
from pathlib import Path

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast

TURNS = [
    {"role": "system", "content": "Answer like a doctor."},
    {"role": "user", "content": "My toe is hot and swollen. Why?"},
    {"role": "assistant", "content": "It may be gout: has it come at night?"},
    {"role": "user", "content": "Yes!\n\nWhat now? 谢谢"},
    {"role": "assistant", "content": "Naproxen, if your kidneys are well.\n1. Rest.\n2. Ice."},
    {"role": "user", "content": "And then?"},
    {"role": "assistant", "content": "A"},
]
TEXTS = [m["content"] for m in TURNS] * 3
# GPT-4's pattern, with which Llama 3 and Qwen split words
SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
SPLIT += r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def train_sentencepiece() -> Tokenizer:
    """Llama 1 and 2: SentencePiece BPE, a space before each word, bytes for unknown characters."""
    tokenizer = Tokenizer(BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()  # no token crosses a space
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    tokenizer.train_from_iterator(
        TEXTS, trainers.BpeTrainer(vocab_size=500, special_tokens=special)
    )
    tokenizer.pre_tokenizer = None
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.add_special_tokens(
        [AddedToken(t, normalized=False) for t in ("<unk>", "<s>", "</s>")]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))]
    )
    return tokenizer


def train_byte_bpe(special: list[str], bos: str = "", split: str = "") -> Tokenizer:
    """Llama 3, Qwen, BLOOM: byte-level BPE; Llama 3 also adds a BOS."""
    tokenizer = Tokenizer(BPE())
    splits = [pre_tokenizers.Split(pattern=Regex(split), behavior="isolated")] if split else []
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [*splits, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not split)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    steps = [processors.ByteLevel(trim_offsets=True)]
    if bos:
        steps.append(
            processors.TemplateProcessing(
                single=f"{bos} $A", special_tokens=[(bos, tokenizer.token_to_id(bos))]
            )
        )
    tokenizer.post_processor = processors.Sequence(steps)
    return tokenizer


LLAMA3 = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>"]
LLAMA3 += ["<|eot_id|>"]
FAMILIES = {  # tokenizer, its special tokens by name, its templates
    "llama": (
        train_sentencepiece,
        {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
        ("llama2", "vicuna_v1.1", "alpaca", "medalpaca"),
    ),
    "llama 3": (
        functools.partial(train_byte_bpe, LLAMA3, LLAMA3[0], SPLIT),
        {"bos_token": LLAMA3[0], "eos_token": LLAMA3[1]},
        ("llama3", "alpaca"),
    ),
    "qwen": (
        functools.partial(
            train_byte_bpe, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], "", SPLIT
        ),
        {"eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"},
        ("chatml",),
    ),
    "smollm2": (  # a turn starts with BOS, and padding is EOS
        functools.partial(train_byte_bpe, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]),
        {
            "bos_token": "<|im_start|>",
            "eos_token": "<|im_end|>",
            "unk_token": "<|endoftext|>",
            "pad_token": "<|im_end|>",
        },
        ("chatml",),
    ),
    "bloom": (
        functools.partial(train_byte_bpe, ["<unk>", "<s>", "</s>", "<pad>"]),
        {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"},
        ("plain",),
    ),
}


def write_tokenizer(family: str, folder: Path) -> None:
    """Train the tokenizer of a family and save it like a folder of the hub."""
    train, special, _ = FAMILIES[family]
    PreTrainedTokenizerFast(tokenizer_object=train(), **special).save_pretrained(folder)
