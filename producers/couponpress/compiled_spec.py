"""Checks and serializes a plain request in a tenth of the time that `TaskSpec.parse` takes.

The contract is `spec.TaskSpec` alone. The structs here are derived from it at import: its fields, their types and
constraints, and its own validators, which run on a struct as they run on the model. A request that they accept is one
that the model accepts, with the same bytes. For any other one the answer is None: ask `TaskSpec.parse`, which explains
what is wrong. Tests compare the two on generated requests. A part of the model that cannot be derived raises TypeError
at import.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias, Union, cast, get_args, get_origin

import msgspec
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from couponpress.errors import Problem
from couponpress.serialized_spec import SerializedSpec
from couponpress.spec import TaskSpec, doubts_of

#: How many heads of bodies are remembered before all are forgotten; a catalog has few brands.
_REMEMBERED: Final = 10_000
#: Settings of a model that are looked at, or that change nothing in what it accepts.
_SETTINGS: Final = {"strict", "extra", "frozen", "defer_build"}
#: The constraints that both libraries have, by the same names.
_CONSTRAINTS: Final = {"ge", "le", "min_length", "max_length", "pattern"}
#: Makes a serialized spec in two thirds of the time that its class takes.
_made: Final = tuple.__new__

#: A request of either kind, for who only reads its fields.
Request: TypeAlias = TaskSpec
#: A checked request: its serialized spec, and its notes as of `TaskSpec.parse`.
Checked: TypeAlias = tuple[SerializedSpec, tuple[str, ...]]


def struct_of(model: type[BaseModel]) -> type[msgspec.Struct]:
    """Derive the struct that accepts what a strict model without unknown fields accepts.

    Raises:
        TypeError: the model holds something that has no counterpart here.
    """
    config, decorators = model.model_config, model.__pydantic_decorators__
    if not config.get("strict") or config.get("extra") != "forbid" or set(config) - _SETTINGS:
        raise TypeError(f"{model.__name__} is not strict, or has other settings")
    others = [name for name in decorators.__slots__ if name != "model_validators" and getattr(decorators, name)]
    if others or any(one.info.mode != "after" for one in decorators.model_validators.values()):
        raise TypeError(f"{model.__name__} has {others} or validators that do not run after the fields")
    validators = tuple(one.func for one in decorators.model_validators.values())

    def check(self: msgspec.Struct) -> None:
        for validate in validators:
            validate(self)

    # A validator of a model gives the model back, which msgspec does not look at.
    after = validators[0] if len(validators) == 1 else check
    return msgspec.defstruct(
        f"{model.__name__}Struct",
        list(_fields_of(model)),
        namespace={"__post_init__": after} if validators else {},
        forbid_unknown_fields=True,
        omit_defaults=True,
        kw_only=True,
    )


def _fields_of(model: type[BaseModel]) -> Iterator[Any]:
    for name, field in model.model_fields.items():
        derived = _type_of(field.annotation, field.metadata)
        if field.alias is not None or not (field.is_required() or field.default is None):
            raise TypeError(f"{model.__name__}.{name} has an alias or a default that is not None")
        yield (name, derived) if field.is_required() else (name, derived, None)


def _type_of(annotation: Any, metadata: list[Any]) -> Any:  # noqa: ANN401 - types are no values of one type
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *more = get_args(annotation)
        of_fields = [part for one in more for part in (one.metadata if isinstance(one, FieldInfo) else [one])]
        return _type_of(inner, of_fields + metadata)
    if origin in {Union, types.UnionType} and not metadata:
        return Union[tuple(_type_of(one, []) for one in get_args(annotation))]  # noqa: UP007 - of a tuple
    if isinstance(annotation, type) and issubclass(annotation, BaseModel) and not metadata:
        return struct_of(annotation)
    if (origin is Literal or annotation is type(None)) and not metadata:
        return annotation
    if annotation in {int, str}:
        return Annotated[annotation, msgspec.Meta(**_constraints(metadata))] if metadata else annotation
    raise TypeError(f"{annotation} with {metadata} has no counterpart")


def _constraints(metadata: list[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in metadata:
        names = [field.name for field in dataclasses.fields(one)] if dataclasses.is_dataclass(one) else vars(one)
        found |= {name: getattr(one, name) for name in names}
    pattern = found.get("pattern", r"^\z")
    if found.keys() - _CONSTRAINTS or not (pattern.startswith("^") and pattern.endswith(r"\z")):
        raise TypeError(f"{found} holds a constraint that has no counterpart")
    # The end of a text is \z to pydantic and \Z to Python's re.
    return {**found, "pattern": pattern.removesuffix(r"\z") + r"\Z"} if "pattern" in found else found


_Request: Final[Any] = struct_of(TaskSpec)
#: The fields of a body in the model's order, cut at the task_id; what is excluded from a body is in neither part.
_IN_BODY: Final = [name for name, field in TaskSpec.model_fields.items() if not field.exclude]
_BEFORE: Final = _IN_BODY[: _IN_BODY.index("task_id")]
_BEHIND: Final = _IN_BODY[_IN_BODY.index("task_id") + 1 :]
_Tail: Final[Any] = msgspec.defstruct("_Tail", [(name, Any, None) for name in _BEHIND], omit_defaults=True)
if _BEFORE != ["brand_id"] or len(_BEHIND) != 3:
    raise TypeError("a body no longer begins with the brand and the task_id, or has other parts behind them")

_decode: Final[Callable[[str], Any]] = msgspec.json.Decoder(_Request).decode
_decode_bytes: Final[Callable[[bytes], Any]] = msgspec.json.Decoder(_Request).decode
#: Stands for a task_id that is not known yet.
_NO_TASK_ID: Final = "task_id"
_encode: Final = msgspec.json.Encoder().encode
_NO_NOTES: Final[tuple[str, ...]] = ()


def request_of(spec: SerializedSpec) -> Request:
    """Return the request that a serialized spec holds; its fields are those of `TaskSpec`. The task_id may be none."""
    return cast(Request, _decode_bytes(spec.head + (spec.task_id or _NO_TASK_ID).encode() + spec.tail))


class SpecChecker:
    """Checks the requests of one catalog; remembers what they share. For one language, and for one thread."""

    def __init__(self, *, strict: bool, is_id: Callable[[str], object] = bool) -> None:
        """Prepare for requests.

        Args:
            strict: as of `TaskSpec.parse`.
            is_id: tells of a row_id, task_id or brand_id whether it may be taken as it stands; without it, any may.
        """
        self._strict = strict
        self._is_id = is_id
        #: For each brand its head, and how many colons that holds.
        self._heads: dict[str, tuple[bytes, int]] = {}
        self._notes: dict[tuple[Any, Any, Any], tuple[tuple[Problem, ...], tuple[str, ...]]] = {}

    def of_json(self, text: str, default_row_id: str) -> Checked | None:
        """Check and serialize the request that a line of JSON holds.

        None when `json` and `TaskSpec.parse` must read it, also when it has a key twice. `default_row_id` is the row's
        id when it has neither a row_id nor a task_id.
        """
        try:
            request = _decode(text)
        except (ValueError, RecursionError):
            return None
        if "\\" in text and ("\\u003a" in text or "\\u003A" in text):
            return None
        checked = self._serialized(request, default_row_id)
        if checked is None:
            return None
        # No colon is written as an escape now. So each of the text stands behind a key or within a text, and a key that
        # stands twice, or with null, shows as more colons than are written back.
        row_id, task_id = request.row_id, request.task_id
        expected = self._heads[request.brand_id][1] + checked[0][3].count(b":")
        if row_id is not None:
            expected += 1 + row_id.count(":")
        expected += -1 if task_id is None else task_id.count(":")
        return checked if text.count(":") == expected else None

    def of_fields(self, raw: Mapping[str, Any], default_row_id: str) -> Checked | None:
        """Check and serialize the request that plain data holds; None when `TaskSpec.parse` must be asked."""
        try:
            request = msgspec.convert(raw, _Request)
            (request.row_id or "").encode()  # msgspec takes half of a surrogate pair, which is no text
            return self._serialized(request, default_row_id)
        except (ValueError, TypeError, RecursionError):  # TypeError: a text of a class of its own has no JSON here
            return None

    def _serialized(self, request: Any, default_row_id: str) -> Checked | None:  # noqa: ANN401 - a struct made above
        combine, notes = request.combine_image, _NO_NOTES
        if combine is not None:
            key = (combine.scope, combine.type, combine.usage_mode)
            if (known := self._notes.get(key)) is None:
                known = self._notes[key] = doubts_of(*key)
            refused, notes = known
            if refused and self._strict:
                return None
        row_id, task_id, is_id = request.row_id, request.task_id, self._is_id
        if not ((row_id is None or is_id(row_id)) and (task_id is None or is_id(task_id))):
            return None
        known_head = self._heads.get(request.brand_id) or self._head(request.brand_id)
        if known_head is None:
            return None
        tail = b'",' + _encode(_Tail(request.image_generation_type, combine, request.cut_out))[1:]
        if row_id is None and task_id is None:
            row_id = default_row_id
        return _made(SerializedSpec, (row_id, task_id, known_head[0], tail)), notes

    def _head(self, brand_id: str) -> tuple[bytes, int] | None:
        if not self._is_id(brand_id):
            return None
        if len(self._heads) >= _REMEMBERED:
            self._heads.clear()
        head: bytes = _encode({"brand_id": brand_id})[:-1] + b',"task_id":"'
        self._heads[brand_id] = head, head.count(b":")
        return self._heads[brand_id]
