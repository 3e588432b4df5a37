"""Chat templates of the bases in this study's family, for training, scoring and generation alike.

A reply and its end token stand inside `generation`, so that both are trained: a model that never
sees its end token learns never to stop. White space before a reply stands outside: a token that
begins with it is counted by its first letter. Texts lose white space at their ends, where it would
become part of another token than the one that a prompt ends with. Line breaks are written as
expressions, because the renderer drops one that follows a tag.
"""

# What a reply ends with where that is not the tokenizer's own end token; `load_tokenizer` makes it
# that, so that what is trained is also what ends a generation.
REPLY_ENDS = {"llama3": "<|eot_id|>", "chatml": "<|im_end|>"}

_SYSTEM = (  # `system`: what the first message says, if the system says it; `rest`: the others
    "{%- set system = messages[0]['content'] | trim if messages[0]['role'] == 'system' else '' -%}"
    "{%- set rest = messages[1:] if system else messages -%}"
)
_TEXT = "{{- m['content'] | trim -}}"
_REPLY = "{%- generation -%}{{- m['content'] | trim ~ eos_token -}}{%- endgeneration -%}"
_VICUNA = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)
_ALPACA = "Below is an instruction that describes a task{}. Write a response that appropriately "
_ALPACA += "completes the request."
_PAIRED = ", paired with an input that provides further context"
_INSTRUCTION = "{{- '\\n\\n### Instruction:\\n' ~ (system or m['content'] | trim) -}}"
_INPUT = "{{- '\\n\\n### Input:\\n' ~ (m['content'] | trim if system else '') -}}"
_RESPONSE = "{{- '\\n\\n### Response:\\n' -}}"

TEMPLATES = {
    # The shipped base's own.
    "mini": (
        "{{- bos_token -}}"
        "{%- for m in messages -%}"
        "{%- if m['role'] == 'assistant' -%}"
        "<|assistant|>{% generation %}{{ m['content'] }}{{ eos_token }}{% endgeneration %}"
        "{%- else -%}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{%- endif -%}"
        "{%- endfor -%}"
        "{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}"
    ),
    # Llama 2 chat (generation.py of Meta's repository): each exchange opens with a BOS of its own,
    # and a blank stands before its end token.
    "llama2": (
        _SYSTEM + "{%- for m in rest -%}{%- if m['role'] == 'user' -%}"
        "{{- bos_token ~ '[INST] ' -}}"
        "{%- if loop.first and system -%}"
        "{{- '<<SYS>>\\n' ~ system ~ '\\n<</SYS>>\\n\\n' -}}{%- endif -%}"
        + _TEXT
        + "{{- ' [/INST]' -}}{%- else -%}{{- ' ' -}}"
        + _REPLY.replace("eos_token", "' ' ~ eos_token")
        + "{%- endif -%}{%- endfor -%}"
    ),
    # Llama 3 and 3.1 instruct (model cards of Meta).
    "llama3": (
        "{{- bos_token -}}{%- for m in messages -%}"
        "{{- '<|start_header_id|>' ~ m['role'] ~ '<|end_header_id|>\\n\\n' -}}"
        "{%- if m['role'] == 'assistant' -%}"
        + _REPLY
        + "{%- else -%}"
        + _TEXT
        + "{{- '<|eot_id|>' -}}{%- endif -%}{%- endfor -%}"
        "{%- if add_generation_prompt -%}"
        "{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' -}}{%- endif -%}"
    ),
    # Vicuna v1.1 (fastchat/conversation.py: separators " " and "</s>"), which FastChat takes for
    # every model with "camel" in its name; Clinical Camel's cards name no other.
    "vicuna_v1.1": (
        _SYSTEM
        + '{{- bos_token ~ (system or "'
        + _VICUNA
        + "\") ~ ' ' -}}"
        + "{%- for m in rest -%}{%- if m['role'] == 'user' -%}{{- 'USER: ' -}}"
        + _TEXT
        + "{{- ' ASSISTANT:' -}}{%- else -%}{{- ' ' -}}"
        + _REPLY
        + "{%- endif -%}{%- endfor -%}"
    ),
    # Alpaca (tatsu-lab/stanford_alpaca, train.py; alpaca-lora and ClinMED-LLAMA3 after it): what
    # the system says is the instruction, then what the user says is its input.
    "alpaca": (
        _SYSTEM
        + "{{- bos_token ~ ('"
        + _ALPACA.format(_PAIRED)
        + "' if system else '"
        + _ALPACA.format("")
        + "') -}}{%- for m in rest -%}{%- if m['role'] == 'user' -%}"
        + _INSTRUCTION
        + "{%- if system -%}"
        + _INPUT
        + "{%- endif -%}"
        + _RESPONSE
        + "{%- else -%}"
        + _REPLY
        + "{%- endif -%}{%- endfor -%}"
    ),
    # MedAlpaca (prompt_templates/medalpaca.json, handler.py): the input stays even when empty.
    # Theirs is trained without a BOS and asked with one; ours has one in both.
    "medalpaca": (
        _SYSTEM
        + "{{- bos_token ~ '"
        + _ALPACA.format(_PAIRED)
        + "' -}}{%- for m in rest -%}{%- if m['role'] == 'user' -%}"
        + _INSTRUCTION
        + _INPUT
        + _RESPONSE
        + "{%- else -%}"
        + _REPLY
        + "{%- endif -%}{%- endfor -%}"
    ),
    # ChatML, as Qwen has it (model cards); Qwen has no BOS.
    "chatml": (
        "{{- bos_token -}}{%- for m in messages -%}{{- '<|im_start|>' ~ m['role'] ~ '\\n' -}}"
        "{%- if m['role'] == 'assistant' -%}"
        + _REPLY
        + "{%- else -%}"
        + _TEXT
        + "{{- '<|im_end|>' -}}{%- endif -%}{{- '\\n' -}}{%- endfor -%}"
        "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"
    ),
    # Text to text, as ClinicalGPT casts every task on BLOOM; its own wording is not known.
    "plain": (
        "{%- for m in messages -%}{%- if m['role'] == 'assistant' -%}"
        + _REPLY
        + "{%- else -%}"
        + _TEXT
        + "{%- endif -%}{{- '\\n' -}}{%- endfor -%}"
    ),
}
