"""A check of a state: a JMESPath over its JSON that says whether the state is right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventsourcing_kit.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["json_check"]


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
