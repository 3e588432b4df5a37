"""Chat templates of the model families in this study, for training, scoring and generation.

`generation` encloses a reply and its end token, so both are targets: a model that never sees its
end token never learns to stop. White space before a reply is outside: a token that begins with it
counts by its first letter. Texts are trimmed: white space at an end could merge into another
token than the one at the end of a prompt. Line breaks are written as expressions, because the
renderer drops one after a tag.
"""

# The end of a reply where it is not the tokenizer's EOS token. `load_tokenizer` makes it the EOS
# token, so the trained end token also ends generation.
REPLY_ENDS = {"llama3": "<|eot_id|>", "chatml": "<|im_end|>"}

_SYSTEM = (  # `system`: text of a leading system message, or ""; `rest`: the other messages
    "{%- set system = messages[0]['content'] | trim if messages[0]['role'] == 'system' else '' -%}"
    "{%- set rest = messages[1:] if system else messages -%}"
)
_TEXT = "{{- m['content'] | trim -}}"
_REPLY = "{%- generation -%}{{- m['content'] | trim ~ eos_token -}}{%- endgeneration -%}"
_VICUNA = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)
_ALPACA = "Below is an instruction that describes a task. Write a response that appropriately "
_ALPACA += "completes the request."
_PAIRED = _ALPACA.replace(".", ", paired with an input that provides further context.", 1)
_INSTRUCTION = "{{- '\\n\\n### Instruction:\\n' ~ (system or m['content'] | trim) -}}"
_INPUT = "{{- '\\n\\n### Input:\\n' ~ (m['content'] | trim if system else '') -}}"
_RESPONSE = "{{- '\\n\\n### Response:\\n' -}}"
_TURN = "{%- if m['role'] == 'assistant' -%}" + _REPLY + "{%- else -%}" + _TEXT


def _exchanges(start: str, user: str, reply: str = _REPLY) -> str:
    """Return a template with `start` once, then these texts for each user and assistant turn."""
    loop = _SYSTEM + start + "{%- for m in rest -%}{%- if m['role'] == 'user' -%}"
    return loop + user + "{%- else -%}" + reply + "{%- endif -%}{%- endfor -%}"


TEMPLATES = {
    # The shipped base model.
    "mini": (
        "{{- bos_token -}}"
        "{%- for m in messages -%}"
        "{%- if m['role'] == 'assistant' -%}"
        "<|assistant|>{% generation %}{{ m['content'] }}{{ eos_token }}{% endgeneration %}"
        "{%- else -%}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{%- endif -%}"
        "{%- endfor -%}"
        "{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}"
    ),
    # Llama 2 chat (generation.py of Meta's repository): each exchange starts with BOS, and a space
    # precedes its end token.
    "llama2": _exchanges(
        "",
        "{{- bos_token ~ '[INST] ' -}}{%- if loop.first and system -%}"
        "{{- '<<SYS>>\\n' ~ system ~ '\\n<</SYS>>\\n\\n' -}}{%- endif -%}"
        + _TEXT
        + "{{- ' [/INST]' -}}",
        "{{- ' ' -}}" + _REPLY.replace("eos_token", "' ' ~ eos_token"),
    ),
    # Llama 3 and 3.1 instruct (model cards of Meta).
    "llama3": (
        "{{- bos_token -}}{%- for m in messages -%}"
        "{{- '<|start_header_id|>' ~ m['role'] ~ '<|end_header_id|>\\n\\n' -}}"
        + _TURN
        + "{{- '<|eot_id|>' -}}{%- endif -%}{%- endfor -%}{%- if add_generation_prompt -%}"
        "{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' -}}{%- endif -%}"
    ),
    # Vicuna v1.1 (fastchat/conversation.py: separators " " and "</s>"). FastChat uses it for every
    # model with "camel" in its name; the model cards of Clinical Camel name no template.
    "vicuna_v1.1": _exchanges(
        '{{- bos_token ~ (system or "' + _VICUNA + "\") ~ ' ' -}}",
        "{{- 'USER: ' -}}" + _TEXT + "{{- ' ASSISTANT:' -}}",
        "{{- ' ' -}}" + _REPLY,
    ),
    # Alpaca (tatsu-lab/stanford_alpaca, train.py; followed by alpaca-lora and ClinMED-LLAMA3): the
    # system message is the instruction, the user message its input.
    "alpaca": _exchanges(
        f"{{{{- bos_token ~ ('{_PAIRED}' if system else '{_ALPACA}') -}}}}",
        _INSTRUCTION + "{%- if system -%}" + _INPUT + "{%- endif -%}" + _RESPONSE,
    ),
    # MedAlpaca (prompt_templates/medalpaca.json, handler.py): an empty input keeps its heading.
    # MedAlpaca trains without BOS and prompts with it; ours has BOS in both.
    "medalpaca": _exchanges(
        f"{{{{- bos_token ~ '{_PAIRED}' -}}}}", _INSTRUCTION + _INPUT + _RESPONSE
    ),
    # ChatML, as in Qwen and SmolLM2 (model cards). Qwen has no BOS. SmolLM2's is the token that
    # starts each turn, and no text starts with two.
    "chatml": (
        "{{- bos_token if bos_token != '<|im_start|>' -}}"
        "{%- for m in messages -%}{{- '<|im_start|>' ~ m['role'] ~ '\\n' -}}"
        + _TURN
        + "{{- '<|im_end|>' -}}{%- endif -%}{{- '\\n' -}}{%- endfor -%}"
        "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"
    ),
    # Text to text, as ClinicalGPT casts every task for BLOOM; its exact wording is not known.
    "plain": "{%- for m in messages -%}" + _TURN + "{%- endif -%}{{- '\\n' -}}{%- endfor -%}",
}
