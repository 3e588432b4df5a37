"""Typed settings: the one schema of what a step may be given.

A subclass names each setting once: type, default, range, choices and a one-sentence meaning. The
parameters cell of the notebook repeats them, because papermill and readers need it there; a test
holds the two equal. Validation is pydantic's (strict, no unknown keys, frozen), the messages are
ours: each names the key, the value and what to write instead.
"""

import json
import re
import types
from collections.abc import Iterator
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
from pydantic_core import PydanticCustomError

from clinical_camel.core.values import (
    find_unsafe,
    house_spelling,
    nearest,
    show,
    texts,
    type_problem,
)


class SettingsError(ValueError):
    """Settings that cannot be used; the message has one line per problem."""


def _require_float(value: Any) -> Any:
    """Refuse a whole number for a float: `1` and `1.0` would be two recipes in two files."""
    if problem := type_problem(value, "float"):
        raise PydanticCustomError("float_type", "{problem}", {"problem": problem})
    return value


Float = Annotated[float, BeforeValidator(_require_float)]
Text = Annotated[str, StringConstraints(min_length=1)]  # plain `str` may be empty: "" is none
Share = Annotated[Float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Limit = Annotated[int, Field(ge=0)]  # 0 is no limit


def valid_by(require: Any) -> BeforeValidator:
    """A validator for Annotated[...] from a function that returns a problem as text, or ""."""

    def validate(value: Any) -> Any:
        if problem := require(value):
            raise PydanticCustomError("setting", "{problem}", {"problem": problem})
        return value

    return BeforeValidator(validate)


class Settings(BaseModel):
    """Validated values, frozen. Subclasses add fields and may override `check_together`.

    >>> class Recipe(Settings):
    ...     rate: Float = Field(2.0e-4, gt=0, le=1, description="peak learning rate")
    >>> Recipe.check({"rate": 2})
    ['rate: 2 is int, not float; write 2.0']
    >>> Recipe.check({"rate": 2.0})
    ['rate: 2.0 is not allowed; write a number that is above 0 and at most 1']
    >>> Recipe.check({"rat": 0.1})
    ['rat: not a setting; did you mean rate?']
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    @classmethod
    def check(cls, values: dict[str, Any], where: str = "", complete: bool = False) -> list[str]:
        """Return every problem of `values`, one line each, the key first; [] if there is none.

        `where` is the notebook that declares the settings, for messages. With `complete`, every
        setting must be written out: a params file must not fall back on plausible science.
        """
        problems = []
        if complete:
            problems = [
                f"{name}: missing; {where} declares it"
                for name in _names(cls)
                if name not in values
            ]
        safe = {}
        for name, value in values.items():
            listed = list(find_unsafe(name, value)) or list(_text_problems(name, value))
            problems += listed
            safe |= {} if listed else {name: value}
        unsafe = values.keys() - safe.keys()
        try:
            cls.model_validate(safe)
        except ValidationError as error:
            problems += [
                message
                for detail in error.errors(include_url=False)
                if not (detail["type"] == "missing" and str(detail["loc"][0]) in unsafe)
                for message in _messages(cls, detail, where)
            ]
        return problems

    @classmethod
    def require(cls, values: dict[str, Any], source: str = "settings") -> Self:
        """Return the settings. Raises SettingsError with every problem, one line each."""
        if problems := cls.check(values):
            raise SettingsError("\n".join(f"{source}: {problem}" for problem in problems))
        return cls.model_validate(values)

    def check_together(self) -> Iterator[str]:
        """Problems of values that are fine alone and not together, one line each."""
        return iter(())

    @model_validator(mode="after")
    def _require_together(self) -> Self:
        if problems := list(self.check_together()):
            raise PydanticCustomError("together", "{problems}", {"problems": "\n".join(problems)})
        return self


class StepSettings(Settings):
    """The settings of one step: what the parameters cell of its notebook declares.

    `many_processes`: whether a launcher of several processes may run the step.
    """

    many_processes: ClassVar[bool] = False

    study: Text = Field("mini_camel", description="params folder; results go to outputs/<study>/")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="every random choice")  # numpy's limit


def _names(cls: type[Settings]) -> list[str]:
    return [field.alias or name for name, field in cls.model_fields.items()]


# ------------------------------------------------------------------------------ the messages


def _text_problems(name: str, value: Any) -> Iterator[str]:
    """White space at an end, an empty key, a value that stands twice in a list."""
    for at, _, text in texts(value, name):
        if text != text.strip():
            yield f"{at}: {show(text)} has white space at an end; write {show(text.strip())}"
        elif not text and at.endswith("(a key)"):
            yield f"{at}: is empty; write a name"
    if isinstance(value, list):
        twice = [item for i, item in enumerate(value) if item in value[:i]]
        yield from (f"{name}: {show(item)} is listed twice; write it once" for item in twice)


WANTED = {"string_type": "str", "int_type": "int", "bool_type": "bool", "float_type": "float"}


def _messages(cls: type[Settings], detail: dict[str, Any], where: str) -> Iterator[str]:
    """One pydantic error in our words."""
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "together":
        yield from context["problems"].splitlines()
        return
    at, parent = _place(cls, detail["loc"])
    if kind == "missing":
        needed = f"; {where} declares it" if where else ""
        yield f"{at}: missing{needed}"
    elif kind == "extra_forbidden":
        choices = [name for name in _names(parent) if name != "kind"]
        owner = f"not a parameter of {where}" if where and parent is cls else "not a setting"
        yield f"{at}: {owner}{nearest(detail['loc'][-1], choices)}"
    elif kind in WANTED:
        yield f"{at}: {context.get('problem') or type_problem(value, WANTED[kind])}"
    elif kind == "list_type":
        yield f"{at}: {show(value)} is not a list; write [{show(value)}]"
    elif kind in ("dict_type", "model_type", "model_attributes_type"):
        yield f"{at}: {show(value)} is not a mapping; write {{name: value}}"
    elif kind in ("union_tag_not_found", "union_tag_invalid"):
        tags = context.get("expected_tags", "").replace("'", "")
        tag = value.get("kind") if isinstance(value, dict) else value
        yield f"{at}.kind: {show(tag)} is not one of {tags or 'the kinds that there are'}"
    elif kind == "literal_error":
        choices = re.findall(r"'([^']*)'", context["expected"])
        allowed = ", ".join(choice or '""' for choice in choices)
        is_text = type_problem(value, "str")
        yield f"{at}: {is_text}" if is_text else f"{at}: {show(value)} is not one of {allowed}"
    elif kind == "string_too_short":
        yield f"{at}: is empty; write a name"
    elif kind == "too_short":
        yield f"{at}: is empty; name at least one"
    elif kind in ("greater_than", "greater_than_equal", "less_than", "less_than_equal"):
        yield f"{at}: {value} is not allowed; write a number that is {_range(cls, detail['loc'])}"
    elif kind == "finite_number":
        yield f"{at}: {value} is not a finite number"
    elif kind == "setting":
        yield f"{at}: {context['problem']}"
    else:
        yield f"{at}: {show(value)}: {detail['msg']}"


def _place(cls: type[Settings], loc: tuple[Any, ...]) -> tuple[str, type[Settings]]:
    """The place of an error as it stands in YAML, and the settings class that it is in."""
    at, parent = "", cls
    for i, part in enumerate(loc):
        last = i == len(loc) - 1
        if isinstance(part, int):
            at += f"[{part}]"
            continue
        if part == "[key]":
            at = at.removesuffix(f".{loc[i - 1]}") + " (a key)"
            continue
        nested = _kinds(parent.model_fields[part].annotation) if part in parent.model_fields else {}
        at += f".{part}" if at else str(part)
        if nested and not last and loc[i + 1] in nested:
            return _nested(nested[loc[i + 1]], loc[i + 2 :], at)
        if len(nested) == 1 and not last:
            return _nested(next(iter(nested.values())), loc[i + 1 :], at)
    return at, parent


def _nested(cls: type[Settings], loc: tuple[Any, ...], start: str) -> tuple[str, type[Settings]]:
    if not loc:
        return start, cls
    at, parent = _place(cls, loc)
    return f"{start}.{at}", parent


def _kinds(annotation: Any) -> dict[str, type[Settings]]:
    """The settings classes in an annotation, by their `kind`."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        field = annotation.model_fields.get("kind")
        return {get_args(field.annotation)[0] if field else "": annotation}
    classes: dict[str, type[Settings]] = {}
    if get_origin(annotation) in (Annotated, Union, types.UnionType):
        for part in get_args(annotation):
            classes |= _kinds(part)
    return classes


def _range(cls: type[Settings], loc: tuple[Any, ...]) -> str:
    """The range of a number in words, from the constraints of its field.

    Constraints of a list's items are in the annotation of the items.
    """
    low, high = "", ""
    for constraint in _constraints(cls, loc):
        for name, text in (("gt", "above {}"), ("ge", "{} or more")):
            if (limit := getattr(constraint, name, None)) is not None:
                low = text.format(limit)
        for name, text in (("lt", "below {}"), ("le", "at most {}")):
            if (limit := getattr(constraint, name, None)) is not None:
                high = text.format(limit)
    return " and ".join(filter(None, (low, high)))


def _constraints(cls: type[Settings], loc: tuple[Any, ...]) -> list[Any]:
    field = cls.model_fields[loc[0]]
    nested = _kinds(field.annotation)
    if nested and len(loc) > 1:
        inner = nested.get(loc[1]) or next(iter(nested.values()))
        return _constraints(inner, loc[2:] if loc[1] in nested else loc[1:])
    return [*field.metadata, *_metadata(field.annotation)]


def _metadata(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Annotated:
        for extra in annotation.__metadata__:
            yield extra
            yield from getattr(extra, "metadata", [])
        yield from _metadata(annotation.__origin__)
    else:
        for part in get_args(annotation):
            yield from _metadata(part)


# ---------------------------------------------------------------- as a parameters cell has them


def parameters_cell(cls: type[StepSettings]) -> str:
    """The parameters cell that a step's notebook must have: one line per setting.

    >>> print(parameters_cell(StepSettings))
    study: str = "mini_camel"  # params folder; results go to outputs/<study>/
    seed: int = 0  # every random choice
    """
    fields = sorted(cls.model_fields.items(), key=lambda item: _order(item[0]))
    return "\n".join(
        f"{name}: {plain_annotation(field.annotation)} = {_literal(field.default)}"
        f"  # {field.description}"
        for name, field in fields
    )


def _order(name: str) -> int:
    """`study` first and `seed` last, whatever the subclass adds."""
    return {"study": 0, "seed": 2}.get(name, 1)


def plain_annotation(annotation: Any) -> str:
    """An annotation as a parameters cell writes it, without constraints and choices.

    >>> plain_annotation(dict[str, Share]), plain_annotation(Literal["a", "b"])
    ('dict[str, float]', 'str')
    """
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return plain_annotation(parts[0])
    if origin is Literal:
        return type(parts[0]).__name__
    if _kinds(annotation):
        return "dict"
    if origin in (list, dict):
        return f"{origin.__name__}[{', '.join(map(plain_annotation, parts))}]"
    return annotation.__name__


def _literal(value: Any) -> str:
    if isinstance(value, Settings):
        value = value.model_dump(exclude_unset=True) | {"kind": value.kind}
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_literal(k)}: {_literal(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_literal, value)) + "]"
    if isinstance(value, float):
        return house_spelling(value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
