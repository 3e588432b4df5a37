"""Checks of single values, and the pieces of messages about them."""

import difflib
import html
import json
import math
import re
import textwrap
import unicodedata
from collections.abc import Iterator
from datetime import date
from pathlib import PurePosixPath
from typing import Any

SCALARS = {"str": str, "int": int, "float": float, "bool": bool}
INVISIBLE = ("Cc", "Cf", "Co", "Cs")  # control, format, private use, half of a surrogate pair
SECRET_NAME = re.compile(
    r"(^|_)(api_?key|access_?key|private_?key|secret|secret_?key|passw(or)?d|passphrase|credentials?"
    r"|(?<!eos_)(?<!pad_)(?<!bos_)(?<!unk_)(?<!sep_)(?<!cls_)(?<!mask_)(?<!stop_)token)$",
    re.IGNORECASE,
)
SECRET_VALUE = re.compile(
    r"\bsk-(?=[\w-]*\d)[\w-]{8,}|\bsk-[\w-]{20,}|(?<![\w/])hf_[A-Za-z0-9]{12,}(?![\w/.-])"
    r"|\bgh[opsu]_[A-Za-z0-9]{16,}|\bgithub_pat_\w{16,}|\bglpat-[\w-]{16,}|\bnvapi-[\w-]{16,}"
    r"|\bxox[abprs]-[\w-]{10,}|\bAKIA[0-9A-Z]{16}\b|\bAIza[\w-]{30,}|\beyJ[\w-]{10,}\.[\w-]{10,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY|\b[Bb]earer\s+[\w.-]{12,}|://[^/\s@]+@"
    r"|\b(?:gsk_|npm_|[sr]k_(?:live|test)_|pypi-|dop_v1_)[A-Za-z0-9_-]{12,}"
    r"|\b(?:xai|pplx|tvly)-[\w-]{10,}|(?<![\w/])r8_[A-Za-z0-9]{12,}(?![\w/.-])"
    r"|\bya29\.[\w-]{10,}|(?<![\w/@.-])(?=[a-f]*\d)(?:[0-9a-f]{32,}|[0-9A-F]{32,})(?![\w/.-])"
)


def check_path(text: str) -> str:
    """Return why `text` is not a path inside the project; "" if it is one."""
    if (
        text.startswith("~")
        or PurePosixPath(text).is_absolute()
        or re.match(r"[A-Za-z]:[\\/]", text)
    ):
        return "is an absolute path; write it from the project's root, as in outputs/..."
    if re.match(r"file:", text, re.IGNORECASE):
        return "is a file address; write a path from the project's root, as in data/..."
    if ".." in re.split(r"[/\\@]", text):
        return 'contains ".."; write a path inside the project'
    plain = PurePosixPath(text).as_posix()
    if re.match(r"\./|(outputs|data)/", text) and plain != text.rstrip("/"):
        return f"has an empty part or a dot; write {plain}"
    return ""


def nearest(name: str, choices: Any) -> str:
    """Return the end of a message: the most similar choice, or all choices if none is similar."""
    names = list(choices)
    if len(str(name)) > 200:  # comparing takes long
        return ""
    for spelling in (str(name), str(name).strip().lower().replace("-", "_")):
        if close := difflib.get_close_matches(spelling, names, n=1, cutoff=0.6):
            hint = "" if str(name).isascii() else " (a letter here only looks like a Latin one)"
            return f"; did you mean {close[0]}{hint}?"
    return f"; known: {', '.join(names) or 'none'}"


def check_type(value: Any, wanted: str) -> str:
    """Return why a value is not a `str`, `int`, `float` or `bool`, and the remedy; "" if it is."""
    if type(value) is SCALARS[wanted]:  # not isinstance: True is an int to Python
        if wanted == "float" and not math.isfinite(value):
            return f"{value} is not a finite number"
        return ""
    if value is None:
        return 'empty; write "" for none or 0 for no limit'
    kind = "a date" if isinstance(value, date) else type(value).__name__
    return f"{show(value)} is {kind}, not {wanted}{_remedy(value, wanted)}"


def _remedy(value: Any, wanted: str) -> str:
    if wanted == "float" and type(value) is int:
        return f"; write {value}.0"
    if wanted in ("float", "int") and isinstance(value, str):
        number = _as_number(value)
        if number is not None and wanted == "float":
            return f"; write {format_float(number)}"
        if number is not None and number == int(number):
            return f"; write {int(number)}"
    if wanted == "int" and type(value) is float and value.is_integer():
        return f"; write {int(value)}"
    if wanted == "str" and type(value) is bool:
        return '; YAML reads yes, no, on and off as true or false: write it in quotes, "no"'
    if wanted == "str" and not isinstance(value, list | dict):
        return f'; write it in quotes, "{value}"'
    plain = {"bool": "true or false", "int": "a whole number", "float": "a number such as 0.5"}
    return f"; write {plain[wanted]}" if wanted in plain else ""


def _as_number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def format_float(number: float) -> str:
    """Write a number so that every YAML reader takes it for one: digit, dot, digit, sign.

    >>> format_float(2e-4), format_float(200.0)
    ('2.0e-4', '200.0')
    """
    if 1e-3 <= abs(number) < 1e6 or number == 0:
        return repr(number)
    digits, _, power = f"{number:.12e}".partition("e")
    digits = digits.rstrip("0")
    return f"{digits}{'0' if digits.endswith('.') else ''}e{int(power):+d}"


def escape_label(text: Any) -> str:
    """Return a name for a figure: no mathematics, at most 40 characters a line.

    matplotlib draws "$...$" as a formula, and no legend entry for a name that begins with "_".

    >>> print(escape_label("cost $5"), escape_label("_t"), sep="|")
    cost \\$5| _t
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return textwrap.fill(" " * line.startswith("_") + line, 40).replace("$", r"\$")


def escape_html(text: str) -> str:
    """Return text for HTML; dollars and backslashes are wrapped, so that no formula begins.

    >>> escape_html("<b onclick='x'>$5</b>")
    '&lt;b onclick=&#x27;x&#x27;&gt;<span>$</span>5&lt;/b&gt;'
    """
    lines = html.escape(text, quote=True).replace("\n", "<br>")
    return re.sub(r"[$\\]", lambda match: f"<span>{match[0]}</span>", lines)


def show(value: Any) -> str:
    """Return a value as text for a message: at most 60 characters, secrets masked."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    text = SECRET_VALUE.sub(lambda match: match.group()[:3] + "…", text)
    return text if len(text) <= 60 else text[:57] + "..."


def iter_texts(value: Any, at: str) -> Iterator[tuple[str, str, str]]:
    """Yield each text inside a value, keys of mappings included, as (place, last key, text)."""
    if isinstance(value, str):
        yield at, at.rpartition(".")[2], value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield f"{at} (a key)", "", str(key)
            yield from iter_texts(item, f"{at}.{key}")
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from iter_texts(item, f"{at}[{i}]")


def check_safety(name: str, value: Any) -> Iterator[str]:
    """Yield problems: secrets, paths outside the project, invisible characters.

    Parameters are printed in the executed notebook, so a secret would be published.
    """
    remedy = "keys and passwords belong in the environment, never in a parameter"
    for at, key, text in iter_texts(value, name):
        if SECRET_NAME.search(key) and text or SECRET_VALUE.search(text):
            yield f"{at}: looks like a secret; {remedy}"
        elif re.match(r"\w+://[^?#]*[?#]", text):
            yield f"{at}: an address with ? or # may contain a key; write it without; {remedy}"
        elif problem := check_path(text) or check_path(text.rpartition("@")[2]):
            yield f"{at}: {show(text)} {problem}"
        if any(unicodedata.category(c) in INVISIBLE for c in text if c not in "\n\t"):
            yield f"{at}: {text!a} contains an invisible character; delete it"
