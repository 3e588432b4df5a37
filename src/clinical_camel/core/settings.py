"""Typed settings: the only schema of a step.

A subclass declares each setting once: type, default, range, choices and a one-sentence meaning. The
parameters cell of the notebook repeats them, because papermill and readers need them there; a test
compares the two. Pydantic validates (strict, no unknown keys, frozen). The messages are ours: each
names the key, the value and what to write instead.
"""

import json
import re
import types
from collections.abc import Callable, Iterator
from typing import Annotated, Any, ClassVar, Literal, Self, Union, get_args, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from clinical_camel.core.values import (
    check_safety,
    check_type,
    format_float,
    iter_texts,
    nearest,
    show,
)

AT_ONCE_VARIABLE = "CLINICAL_CAMEL_AT_ONCE"  # how many runs of a sweep share this machine
# 1: a further round for each rejected dialogue of step 01; set by `run --retry-failed`
RETRY_VARIABLE = "CLINICAL_CAMEL_RETRY_FAILED"
MAX_KEY = 200  # characters; the longest are paths
MAX_KEYS, MAX_ITEMS = 100, 200  # a step has about 25 settings; each is compared with all names
# settings that no result depends on: a result stays valid if they change
WITHOUT_EFFECT = frozenset({"report_to", "save_minutes"})
CAPS = frozenset({"money_cap", "token_cap"})  # of a language model: no reply depends on them


class SettingsError(ValueError):
    """Settings that cannot be used; the message has one line per problem."""


# How the runner records a training that diverged (`sft_qlora.guards.LossGuard`): step, name, value.
DIVERGED = re.compile(r"TrainingError: step (\d+ of \d+): (\w+) is (-?(?:nan|inf))\b")


class Incomplete(RuntimeError):
    """A step that ended without the result that was requested; the message says what is missing.

    Raised by `runs.Run.finish` or by a step. The runner reports it as incomplete, publishes
    nothing, and resumes at the next run.
    """


def changed_settings(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return the names whose values differ, sorted, apart from what has no effect on a result."""
    before, after = drop_without_effect(before), drop_without_effect(after)
    return sorted(n for n in before.keys() | after.keys() if before.get(n) != after.get(n))


def drop_without_effect(values: dict[str, Any]) -> dict[str, Any]:
    """Return settings without WITHOUT_EFFECT, and their mappings without CAPS."""

    def drop_caps(value: Any) -> Any:
        is_mapping = isinstance(value, dict)
        return {k: v for k, v in value.items() if k not in CAPS} if is_mapping else value

    return {name: drop_caps(v) for name, v in values.items() if name not in WITHOUT_EFFECT}


def valid_by(check: Callable[[Any], str]) -> BeforeValidator:
    """Return a validator for Annotated[...] from a function that returns a problem, or ""."""

    def validate(value: Any) -> Any:
        if problem := check(value):
            raise PydanticCustomError("setting", "{problem}", {"problem": problem})
        return value

    return BeforeValidator(validate)


# pydantic takes 1 for 1.0, but the two would be different recipes in two files
Float = Annotated[float, valid_by(lambda value: check_type(value, "float"))]
Text = Annotated[str, StringConstraints(min_length=1)]  # a plain `str` may be empty: "" means none
Share = Annotated[Float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, le=10**6)]
Limit = Annotated[int, Field(ge=0, le=10**12)]  # 0 means no limit


class Settings(BaseModel):
    """Validated values, frozen. Subclasses add fields and may override `check_together`.

    >>> class Recipe(Settings):
    ...     rate: Float = Field(2.0e-4, gt=0, le=1, description="peak learning rate")
    >>> Recipe.check({"rate": 2})
    ['rate: 2 is int, not float; write 2.0']
    >>> Recipe.check({"rate": 2.0})
    ['rate: 2.0 is not allowed; write a number that is above 0 and at most 1 (peak learning rate)']
    >>> Recipe.check({"rat": 0.1})
    ['rat: not a setting; did you mean rate?']
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    @classmethod
    def check(cls, values: dict[str, Any], where: str = "", complete: bool = False) -> list[str]:
        """Return every problem of `values`, one line each, the key first; [] if there is none.

        `where` is the notebook that declares the settings, for messages. With `complete`, every
        setting must be written out: a params file must not fall back on defaults unnoticed.
        """
        problems, safe = [], {}
        if problem := _check_size(values):
            return [problem]
        if complete:
            missing = [name for name in _names(cls) if name not in values]
            problems = [f"{name}: missing; {where} declares it" for name in missing]
        for name, value in values.items():
            unsafe = list(check_safety(name, value)) or list(_check_texts(name, value))
            problems += unsafe
            if not unsafe:
                safe[name] = value
        try:
            cls.model_validate(safe)
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                if detail["type"] == "together":  # not with defaults for missing or unsafe values
                    lines = detail["ctx"]["problems"].splitlines()
                    problems += [] if problems else [_locate_together(detail, t) for t in lines]
                elif detail["loc"][0] in safe or detail["loc"][0] not in values:
                    problems.append(_describe(cls, detail, where))
        return problems

    @classmethod
    def require(cls, values: dict[str, Any], source: str = "settings") -> Self:
        """Return the settings. Raises SettingsError with every problem, one line each."""
        if problems := cls.check(values):
            raise SettingsError("\n".join(f"{source}: {problem}" for problem in problems))
        return cls.model_validate(values)

    def check_together(self) -> Iterator[str]:
        """Yield problems of values that are valid alone but not together, one line each.

        A line begins with the keys, as "low, high: 3 is above 2"; `check` adds the name of the
        mapping if these settings are the value of a setting.
        """
        return iter(())

    @model_validator(mode="after")
    def _require_together(self) -> Self:
        if problems := list(self.check_together()):
            raise PydanticCustomError("together", "{problems}", {"problems": "\n".join(problems)})
        return self


class StepSettings(Settings):
    """The settings of one step: what the parameters cell of its notebook declares.

    `many_processes`: whether a launcher may run the step in several processes.
    """

    many_processes: ClassVar[bool] = False

    study: Text = Field("mini_camel", description="params folder; results go to outputs/<study>/")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="fixes every random choice")  # of numpy


def _names(cls: type[Settings]) -> list[str]:
    return [field.alias or name for name, field in cls.model_fields.items()]


# ------------------------------------------------------------------------------ the messages


def _check_size(values: dict[str, Any]) -> str:
    """Return why there are too many values to check them one by one; "" if there are not."""
    if len(values) > MAX_KEYS:
        return f"{len(values)} keys, more than {MAX_KEYS}; write the settings of one step"
    for name, value in values.items():
        if isinstance(value, dict | list) and len(value) > MAX_ITEMS:
            return f"{name}: {len(value)} entries, more than {MAX_ITEMS}; write fewer"
    return ""


def _check_texts(name: str, value: Any) -> Iterator[str]:
    """Yield problems: white space at an end, an empty key, an item listed twice."""
    for at, _, text in iter_texts(value, name):
        if text != text.strip():
            yield f"{at}: {show(text)} has white space at an end; write {show(text.strip())}"
        elif at.endswith("(a key)") and not text:
            yield f"{at}: is empty; write a name"
        elif at.endswith("(a key)") and (len(text) > MAX_KEY or not text.isprintable()):
            yield f"{at}: {show(text)} is no name; write one line of at most {MAX_KEY} characters"
    for i, item in enumerate(value if isinstance(value, list) else []):
        if item in value[:i]:
            yield f"{name}: {show(item)} is listed twice; write it once"


def _describe(cls: type[Settings], detail: dict[str, Any], where: str) -> str:
    """Return one pydantic error as a message: key, value, remedy."""
    value, context = detail["input"], detail.get("ctx", {})
    at, owner, field = _locate(cls, detail["loc"])
    match detail["type"]:
        case "missing":
            return f"{at}: missing; {_describe_kind(owner) or where or 'the step'} needs it"
        case "extra_forbidden":
            choices = [name for name in _names(owner) if name != "kind"]
            belongs = f"a parameter of {where}" if where and owner is cls else "a setting"
            if title := _describe_kind(owner):
                belongs += f" of {title}"
            return f"{at}: not {belongs}{nearest(detail['loc'][-1], choices)}"
        case "string_type" | "int_type" | "bool_type" as kind:
            return f"{at}: {check_type(value, kind.removesuffix('_type').replace('string', 'str'))}"
        case "list_type":
            return f"{at}: {show(value)} is not a list; write [{show(value)}]"
        case "dict_type":
            return f"{at}: {show(value)} is not a mapping; write {{name: value}}"
        case "model_attributes_type":
            is_kind = isinstance(value, str) and value in _kinds(field.annotation)
            remedy = f"{{kind: {value if is_kind else 'name, ...'}}}"
            return f"{at}: {show(value)} is not a mapping; write {remedy}"
        case "union_tag_not_found" | "union_tag_invalid":
            problem = f"{show(value['kind'])} is not" if "kind" in value else "missing; write"
            return f"{at}.kind: {problem} one of {', '.join(_kinds(field.annotation))}"
        case "literal_error":
            if problem := check_type(value, "str"):
                return f"{at}: {problem}"
            choices = re.findall(r"'([^']*)'", context["expected"])
            allowed = ", ".join(choice or '""' for choice in choices)
            return f"{at}: {show(value)} is not one of {allowed}"
        case "string_pattern_mismatch":
            return f"{at}: {show(value)} is not allowed; write a {field.description}"
        case "string_too_short":
            return f"{at}: is empty; write a name"
        case "too_short":
            return f"{at}: is empty; name at least one"
        case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal":
            why = f" ({field.description})" if field.description else ""
            wanted = _describe_range(field)
            return f"{at}: {show(value)} is not allowed; write a number that is {wanted}{why}"
        case "setting":
            return f"{at}: {context['problem']}"
    return f"{at}: {show(value)}: {detail['msg']}"


def _locate_together(detail: dict[str, Any], problem: str) -> str:
    """Return a problem of values of a nested mapping with the mapping's name before its keys."""
    if not detail["loc"]:
        return problem
    keys, colon, rest = problem.partition(":")
    return ", ".join(f"{detail['loc'][0]}.{key}" for key in keys.split(", ")) + colon + rest


def _locate(
    cls: type[Settings], loc: tuple[Any, ...]
) -> tuple[str, type[Settings], FieldInfo | None]:
    """Return the place of an error in YAML, its settings class, and its field if there is one."""
    name, *rest = loc
    field = cls.model_fields.get(name)
    kinds = _kinds(field.annotation) if field else {}
    if len(rest) > 1 and rest[0] in kinds:
        at, owner, field = _locate(kinds[rest[0]], rest[1:])
        return f"{name}.{at}", owner, field
    is_key = bool(rest) and rest[-1] == "[key]"
    at = str(name)
    for part in rest[: -2 if is_key else None]:
        at += f"[{part}]" if isinstance(part, int) else f".{part}"
    return at + " (a key)" * is_key, cls, field


def _kinds(annotation: Any) -> dict[str, type[Settings]]:
    """Return the settings classes in an annotation, by their `kind`."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return {get_args(annotation.model_fields["kind"].annotation)[0]: annotation}
    classes: dict[str, type[Settings]] = {}
    if get_origin(annotation) in (Annotated, Union, types.UnionType):
        for part in get_args(annotation):
            classes |= _kinds(part)
    return classes


def _describe_kind(cls: type[Settings]) -> str:
    """Return `kind x` for one of several classes of a mapping, else ""."""
    return f"kind {next(iter(_kinds(cls)))}" if "kind" in cls.model_fields else ""


def _describe_range(field: FieldInfo) -> str:
    """Return the range of a number in words, from the constraints of its field or its items."""
    words = {"gt": "above {}", "ge": "{} or more", "lt": "below {}", "le": "at most {}"}
    constraints = [*field.metadata, *_iter_constraints(field.annotation)]
    limits: dict[str, float] = {}
    for name in words:
        values = [getattr(c, name) for c in constraints if getattr(c, name, None) is not None]
        if values:  # the tightest
            limits[name] = max(values) if name[0] == "g" else min(values)
    return " and ".join(text.format(limits[name]) for name, text in words.items() if name in limits)


def _iter_constraints(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Annotated:
        for extra in annotation.__metadata__:
            yield from getattr(extra, "metadata", [extra])
    for part in get_args(annotation):
        yield from _iter_constraints(part)


# ------------------------------------------------------------------------ the parameters cell


def parameters_cell(cls: type[StepSettings]) -> str:
    """Return the parameters cell that the step's notebook must have: one line per setting."""
    own = [name for name in cls.model_fields if name not in StepSettings.model_fields]
    fields = {name: cls.model_fields[name] for name in ("study", *own, "seed")}
    return "\n".join(
        f"{name}: {_plain_annotation(field.annotation)} = {_format_literal(field.default)}"
        f"  # {field.description}"
        for name, field in fields.items()
    )


def _plain_annotation(annotation: Any) -> str:
    """Return an annotation without constraints and choices, as a parameters cell writes it."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _plain_annotation(parts[0])
    if origin is Literal:
        return type(parts[0]).__name__
    if _kinds(annotation):
        return "dict"
    if origin in (list, dict):
        return f"{origin.__name__}[{', '.join(map(_plain_annotation, parts))}]"
    return annotation.__name__


def _format_literal(value: Any) -> str:
    if isinstance(value, Settings):
        value = {"kind": value.kind} | value.model_dump(exclude_unset=True)
    if isinstance(value, dict):
        pairs = (f"{_format_literal(k)}: {_format_literal(v)}" for k, v in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_format_literal, value))}]"
    if isinstance(value, float):
        return format_float(value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
