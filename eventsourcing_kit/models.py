"""A user's model for the data of an event: a pydantic model, or a msgspec Struct where the user wants speed.

Both read the JSON of the data itself, so that a strict model takes what JSON can say.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel, ValidationError

    from eventsourcing_kit.event import Event

    Model = BaseModel | msgspec.Struct

__all__ = ["MisfitError", "Reader", "is_model", "reader_for"]


class MisfitError(Exception):
    """Data that does not fit a model: which fields of it, and in which way. Never a value, or a name that is data."""

    def __init__(self, model: type[Model], fields: tuple[str, ...]) -> None:
        super().__init__()
        self.model = model
        self.fields = fields


class Reader(NamedTuple):
    """Two ways to an object of one `model`. Both raise MisfitError."""

    model: type[Model]  # also for the fingerprint of a projection's code, which does not look into the kit's functions
    of_event: Callable[[Event], Any]  # from an event: its data, as they are stored
    of_json: Callable[[bytes | str], Any]  # from the JSON of data


def is_model(candidate: object) -> bool:
    """Whether it is a class of models, told without importing pydantic."""
    if not isinstance(candidate, type):
        return False
    return hasattr(candidate, "__pydantic_validator__") or (
        issubclass(candidate, msgspec.Struct) and candidate is not msgspec.Struct
    )


def reader_for(model: type[Any]) -> Reader:
    """The reader for a model. Raises TypeError or NameError where a Struct is one that can not be read from objects."""
    return _struct_reader(model) if issubclass(model, msgspec.Struct) else _pydantic_reader(model)


class _Data(msgspec.Struct):
    data: msgspec.Raw = msgspec.Raw(b"")


_DATA: Final = msgspec.json.Decoder(_Data)


def _data_json(event: Event) -> bytes | str:
    text = event.detail_json
    try:
        raw = bytes(_DATA.decode(text).data)
    except msgspec.DecodeError:  # lone surrogates
        return json.dumps(event.data)
    return raw if raw.startswith(b"{") else text


# pydantic


def _pydantic_reader(model: type[BaseModel]) -> Reader:
    from pydantic import ValidationError

    validate = model.model_validate_json

    def of_json(text: bytes | str) -> BaseModel:
        """Its numbers are doubles."""
        try:
            return validate(text)
        except ValidationError as error:
            raise MisfitError(model, _pydantic_fields(model, error)) from None

    return Reader(model, lambda event: of_json(_data_json(event)), of_json)


def _pydantic_fields(model: type[BaseModel], error: ValidationError) -> tuple[str, ...]:
    known = set(model.model_fields)
    known |= {field.alias for field in model.model_fields.values() if field.alias}
    lines = error.errors(include_url=False, include_context=False, include_input=False)
    # Sorted, as pydantic's own order changes with its version.
    return tuple(sorted(f"{_place(line['loc'], known)} ({line['type']})" for line in lines))


def _place(steps: tuple[int | str, ...], known: set[str]) -> str:
    """Behind the first step a text may be a key of the payload itself, and so may the first one, unless it is known."""
    if not steps:
        return "data"
    head, *rest = steps
    return ".".join([str(head) if head in known else "*", *(str(x) if isinstance(x, int) else "*" for x in rest)])


# msgspec


def _struct_reader(model: type[msgspec.Struct]) -> Reader:
    if model.__struct_config__.array_like:
        raise TypeError("it is array_like, and the data of an event is an object")
    decode = msgspec.json.Decoder(model).decode
    # The data in its place: most details are read in one pass, which makes nothing of what stands around the data.
    in_place: Any = msgspec.json.Decoder(msgspec.defstruct("Detail", [("data", model)])).decode

    def of_json(text: bytes | str) -> msgspec.Struct:
        try:
            return decode(text)
        except msgspec.ValidationError as error:
            raise MisfitError(model, (_struct_field(model, str(error)),)) from None
        except msgspec.DecodeError:
            raise MisfitError(model, ("data (json_invalid)",)) from None

    def of_event(event: Event) -> Any:
        packed = event.packed_detail
        try:
            return in_place(packed if isinstance(packed, str) else event.detail_json).data
        except msgspec.DecodeError:  # it stands elsewhere, or does not fit
            return of_json(_data_json(event))

    return Reader(model, of_event, of_json)


# What msgspec says: a sentence, which may quote a value, and then, unless it is the whole, the place that it is about.
_PLACE: Final = re.compile(r" - at `\$((?:\.[^`.\[\]]+|\[\d+\]|\[\.\.\.\])+)`\Z")
_STEP: Final = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")
_MISSING: Final = re.compile(r"Object missing required field `([^`]+)`")
_UNKNOWN: Final = "Object contains unknown field"
_OF_ANOTHER_TYPE: Final = re.compile(r"Expected `[^`]+`, got `\w+`")


def _struct_field(model: type[msgspec.Struct], message: str) -> str:
    """In the words that pydantic has for it, as far as they go."""
    known = {*model.__struct_fields__, *model.__struct_encode_fields__}
    match = _PLACE.search(message)
    steps = () if match is None else tuple(_step(*found) for found in _STEP.findall(match[1]))
    if missing := _MISSING.match(message):
        return f"{_place((*steps, missing[1]), known)} (missing)"
    if message.startswith(_UNKNOWN):
        return f"{_place((*steps, ''), known)} (extra_forbidden)"
    return f"{_place(steps, known)} ({'type' if _OF_ANOTHER_TYPE.match(message) else 'value'}_error)"


def _step(name: str, number: str) -> int | str:
    return int(number) if number.isdigit() else name
