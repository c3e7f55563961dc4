"""A check of a state: a JMESPath over its JSON that says whether the state is right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventsourcing_kit.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["json_check", "why"]


def json_check(expression: str) -> Callable[[Any], bool]:
    """Whether a document passes: what `expression` answers counts as JMESPath's truth, so that false, null and what is
    empty fail. Raises InvalidOption where it is no JMESPath; what it answers raises JMESPathError where it can not be
    asked of a document."""
    import jmespath  # 20 ms that only an expression needs
    from jmespath.exceptions import JMESPathError

    try:
        search = jmespath.compile(expression).search
    except JMESPathError:
        expected = "a function of a state, or a JMESPath such as 'balance >= `0`'"
        raise InvalidOption("check", found=expression, expected=expected) from None

    def passes(document: Any) -> bool:
        found = search(document)
        return found is not None and found is not False and found not in ("", [], {})

    return passes


def why(error: Exception) -> str:
    """What a check raised, with nothing of the state in it."""
    from jmespath.exceptions import JMESPathTypeError, UnknownFunctionError

    if isinstance(error, JMESPathTypeError):
        expected = " or ".join(error.expected_types)
        return (
            f"{type(error).__name__} was raised, as {error.function_name}() takes {expected}, not {error.actual_type}"
        )
    if isinstance(error, UnknownFunctionError):  # its words are of the expression
        return f"{type(error).__name__} was raised: {error}"
    return f"{type(error).__name__} was raised"
