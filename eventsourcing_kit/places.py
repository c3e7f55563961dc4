"""Where in an envelope something stands: JMESPaths, and the usual places of what links events to each other."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from eventsourcing_kit.errors import InvalidEnvelope, InvalidOption
from eventsourcing_kit.event import metadata_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jmespath.parser import ParsedResult

    from eventsourcing_kit.event import Event

__all__ = ["as_envelope", "causation_id", "check_path", "correlation_id", "search", "utf8"]

_CORRELATION: Final = ("correlationId", "correlation_id")
_CAUSATION: Final = ("causationId", "causation_id")


def correlation_id(envelope: Mapping[str, Any], path: str | None = None) -> str | None:
    """What `path` (a JMESPath) leads to where that is text, else `correlationId` or `correlation_id` of the metadata.

    None where neither is text that is not empty: no fact is refused for it. A number can be made text by the path
    itself: `detail.data.cart && to_string(detail.data.cart)`. Raises InvalidOption for a path that is none, and
    InvalidEnvelope where a path fails on this envelope, or for half of a surrogate pair.
    """
    return _first_text(envelope, path, "correlation_path", _CORRELATION)


def causation_id(envelope: Mapping[str, Any], path: str | None = None) -> str | None:
    """As `correlation_id`, of `causationId` or `causation_id`: the id of the event that this one follows from."""
    return _first_text(envelope, path, "causation_path", _CAUSATION)


def as_envelope(event: Event) -> dict[str, Any]:
    """The members of the envelope that a stored event came in, for a path to look into."""
    optional = {"replay-name": event.replay_name, "account": event.account, "region": event.region}
    return {
        "id": event.id,
        "source": event.source,
        "detail-type": event.type,
        "time": event.time,
        **{name: value for name, value in optional.items() if value is not None},
        "resources": list(event.resources),
        "detail": event.detail,
    }


def search(path: str, envelope: Mapping[str, Any], *, option: str) -> Any:
    """What a JMESPath leads to, None where that is nothing. Raises as `correlation_id`; `option` is the path's name."""
    from jmespath.exceptions import JMESPathError

    try:
        return check_path(path, option=option).search(envelope)
    except JMESPathError as error:  # such as a function over a value of another type; its message quotes the value
        found = f"a {type(error).__name__}"
        raise InvalidEnvelope(path, found=found, expected="a place that this JMESPath can reach") from None


def check_path(path: str, *, option: str) -> ParsedResult:
    """Raises InvalidOption where a path is no JMESPath."""
    import jmespath  # 20 ms that only a configured path needs

    try:
        return _compiled(path)
    except jmespath.exceptions.JMESPathError:
        raise InvalidOption(option, found=path, expected="a JMESPath") from None


@lru_cache(maxsize=64)
def _compiled(path: str) -> ParsedResult:
    import jmespath

    return jmespath.compile(path)


def _first_text(envelope: Mapping[str, Any], path: str | None, option: str, names: tuple[str, ...]) -> str | None:
    candidates = [] if path is None else [(path, search(path, envelope, option=option))]
    metadata = metadata_of(envelope["detail"])
    candidates += [(f"detail.metaData.{name}", metadata.get(name)) for name in names]
    for field, value in candidates:
        if isinstance(value, str) and value:
            utf8(field, value)
            return value
    return None


def utf8(field: str, value: str) -> bytes:
    """The bytes of a text. Raises InvalidEnvelope for half of a surrogate pair, which UTF-8 can not carry."""
    try:
        return value.encode()
    except UnicodeEncodeError:
        found = "half of a surrogate pair"
        raise InvalidEnvelope(field, found=found, expected="text that UTF-8 can carry") from None
