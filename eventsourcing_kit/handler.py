"""One handler, with what stands before it (upcasters, a model), and what is said when any of them fails."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel, ValidationError

    from eventsourcing_kit.event import Event
    from eventsourcing_kit.upcast import Upcast

    Route = Callable[[Any, Event], Any]

__all__ = ["Handler", "NotAKeyError", "NothingReturnedError", "explain", "is_model"]


class Handler(NamedTuple):
    """A user's function, and the model that its events have to fit first."""

    function: Callable[[Any, Event], Any]
    model: type[BaseModel] | None

    def behind(self, final: str, upcasts: tuple[Upcast, ...]) -> Route:
        """The function with all that stands before it: nothing at all in the plain case, which is the hot path."""
        function, model = self
        if model is None and not upcasts:
            return function

        def route(state: Any, event: Event) -> Any:
            data: Any = event.data if upcasts else None
            for upcast in upcasts:
                data = upcast(data, event)
            if model is not None:
                data = _validate(model, msgspec.json.encode(data) if upcasts else _data_json(event))
            return function(state, event.with_data(data, type=final))

        return route


def _validate(model: type[BaseModel], data: bytes | str) -> BaseModel:
    """Pydantic reads the JSON itself, so that a strict model takes what JSON can say. Its numbers are doubles."""
    from pydantic import ValidationError

    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        raise _InvalidDataError(model, error) from None


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


def is_model(candidate: object) -> bool:
    """Whether it is a pydantic model class, told without importing pydantic."""
    return isinstance(candidate, type) and hasattr(candidate, "__pydantic_validator__")


class NothingReturnedError(Exception):
    """A handler answered None for a state that was something."""


class NotAKeyError(Exception):
    """A projection's `key` answered neither text nor None."""


class _InvalidDataError(Exception):
    def __init__(self, model: type[BaseModel], error: ValidationError) -> None:
        super().__init__()
        self.model = model
        self.error = error


def explain(error: Exception) -> tuple[str, tuple[str, ...], Exception | None]:
    """A reason without values, the fields that a model refused, and the cause to chain (models quote values: none)."""
    if isinstance(error, _InvalidDataError):
        fields = _fields(error)
        return f"its data does not fit {error.model.__name__}: {', '.join(fields)}", fields, None
    if isinstance(error, NothingReturnedError):
        return "the handler returned None; it has to return the state", (), None
    if isinstance(error, NotAKeyError):
        return "key= answered something that is neither text nor None", (), None
    return f"{type(error).__name__} was raised", (), error


def _fields(failure: _InvalidDataError) -> tuple[str, ...]:
    known = set(failure.model.model_fields)
    known |= {field.alias for field in failure.model.model_fields.values() if field.alias}
    found = []
    for line in failure.error.errors(include_url=False, include_context=False, include_input=False):
        head, *rest = line["loc"] or ("data",)
        # Behind the first place a text may be a key of the payload itself.
        places = [str(head) if head in known or not line["loc"] else "*"]
        places += [str(place) if isinstance(place, int) else "*" for place in rest]
        found.append(f"{'.'.join(places)} ({line['type']})")
    return tuple(sorted(found))  # pydantic's own order changes with its version
