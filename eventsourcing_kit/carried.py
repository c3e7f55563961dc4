"""An error of the kit as facts, so that it can be raised in another process than the one in which it happened.

The facts are what its class takes: plain values and nothing of a payload. What only lives in one process stays there:
the cause, and the event and state that a FoldFailed holds. Where in the user's code it happened goes along as notes.
"""

from __future__ import annotations

import inspect
import sysconfig
import traceback
from pathlib import Path
from typing import Any, Final

from eventsourcing_kit import errors
from eventsourcing_kit.errors import EventSourcingError

__all__ = ["error_of", "facts_of"]

_OWN_CODE: Final = str(Path(__file__).parent)
_SHOWN: Final = 3


def facts_of(error: EventSourcingError) -> dict[str, Any]:
    """What `error_of` makes the same error of."""
    kind = type(error)
    named = {} if kind is EventSourcingError else {name: getattr(error, name) for name in _parameters(kind)}
    return {"error": kind.__name__, "facts": named, "message": str(error), "places": _places(error)}


def error_of(carried: dict[str, Any]) -> EventSourcingError:
    """The error that `facts_of` took apart; of a class that is not the kit's, its message."""
    kind = getattr(errors, carried["error"], None)
    if isinstance(kind, type) and issubclass(kind, EventSourcingError) and kind is not EventSourcingError:
        error = _made(kind, {name: _frozen(value) for name, value in carried["facts"].items()})
    else:
        error = EventSourcingError(carried["message"])
    for place in carried["places"]:
        error.add_note(place)
    return error


def _made(kind: type[EventSourcingError], facts: dict[str, Any]) -> EventSourcingError:
    parameters = _parameters(kind).items()
    by_position = [facts.pop(name) for name, each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]
    return kind(*by_position, **facts)


def _parameters(kind: type[EventSourcingError]) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(kind).parameters)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _places(error: EventSourcingError) -> list[str]:
    """The last places in the user's code, where that raised."""
    if error.__cause__ is None:
        return []
    others = [_OWN_CODE, *(sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib"))]
    frames = [
        frame
        for frame in traceback.extract_tb(error.__cause__.__traceback__)
        if not any(Path(frame.filename).is_relative_to(folder) for folder in others)
    ]
    return [f"{_from_here(frame.filename)}:{frame.lineno} in {frame.name}" for frame in frames[-_SHOWN:]]


def _from_here(file: str) -> Path:
    here = Path.cwd()
    return Path(file).relative_to(here) if Path(file).is_relative_to(here) else Path(file)
