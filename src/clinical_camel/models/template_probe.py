"""Render an untrusted chat template in a child process, with limits on time and memory.

A chat template is a program: nested loops can run for hours, and `'x' * 10**10` fills the memory.
Run as a script, this file is the child: it reads a template from standard input and needs jinja2
alone, not transformers.
"""

import functools
import json
import random
import subprocess
import sys
from collections.abc import Mapping

CPU_SECONDS = 2  # a real template needs milliseconds
WALL_SECONDS = 60  # includes the start of Python on a busy machine
MEMORY = 10**9  # bytes
LONGEST = 100_000  # characters; the conversations below have fewer than a hundred
_USER, _REPLY = {"role": "user", "content": "?"}, {"role": "assistant", "content": "@"}
CONVERSATIONS = (([_USER], True), ([_USER, _REPLY], False), ([_USER, _REPLY, _USER], True))


@functools.lru_cache
def check_template(template: str, special_tokens: tuple[tuple[str, str], ...]) -> str:
    """Return why this template cannot be used; "" if it renders short conversations quickly.

    `special_tokens`: pairs such as ("bos_token", "<s>").
    """
    question = json.dumps({"template": template, "special_tokens": dict(special_tokens)})
    try:
        child = subprocess.run(
            [sys.executable, "-I", __file__],
            input=question.encode(),
            capture_output=True,
            timeout=WALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"needs more than {WALL_SECONDS} s for a conversation of three words"
    if child.returncode or not child.stdout:
        return f"needs more than {CPU_SECONDS} s or 1 GB for a conversation of three words"
    return json.loads(child.stdout)


def _limit() -> None:
    """Limit this process where the system can do so (not on Windows)."""
    try:
        import resource
    except ImportError:
        return
    for kind, limit in (("RLIMIT_CPU", CPU_SECONDS), ("RLIMIT_AS", MEMORY), ("RLIMIT_CORE", 0)):
        _, hard = resource.getrlimit(getattr(resource, kind))
        most = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(getattr(resource, kind), (most, most))


def _render_all(template: str, special_tokens: Mapping[str, str]) -> str:
    """Return why the template cannot be used, or ""; environment as in transformers 5.23."""
    import jinja2
    import jinja2.ext
    import jinja2.sandbox

    class Generation(jinja2.ext.Extension):
        tags = {"generation"}

        def parse(self, parser):
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    def raise_exception(message):
        raise PermissionError(str(message))

    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )
    environment.filters["tojson"] = lambda value, **_: json.dumps(value)
    environment.globals |= {"raise_exception": raise_exception, "strftime_now": lambda _: "now"}
    try:
        compiled, texts = environment.from_string(template), []
        for seed in (0, 1):
            random.seed(seed)
            for messages, prompt in CONVERSATIONS:
                values = {"messages": messages, "add_generation_prompt": prompt}
                texts.append(
                    compiled.render(**special_tokens, **values, tools=None, documents=None)
                )
    except PermissionError as error:
        return f"refuses a conversation of user and assistant: {str(error)[:200]}"
    except RecursionError:
        return "calls itself without end"
    except Exception as error:  # anything may go wrong in the template's own code
        return f"cannot be rendered: {type(error).__name__}: {str(error)[:200]}"
    if max(map(len, texts)) > LONGEST:
        return f"writes {max(map(len, texts))} characters for a conversation of three words"
    half = len(texts) // 2
    return "" if texts[:half] == texts[half:] else "writes another text each time"


if __name__ == "__main__":
    _limit()
    sys.stdout.write(json.dumps(_render_all(**json.loads(sys.stdin.buffer.read()))))
    sys.stdout.flush()
