"""Libraries that come with an extra, loaded where they are used."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from eventsourcing_kit.errors import InvalidOption

__all__ = ["is_installed", "library"]

_NOTEBOOK: Final = "'eventsourcing-kit[notebook]'"


def library(module: str, *, asked_for: str, install: str = _NOTEBOOK) -> Any:
    """The imported module. Raises InvalidOption, which names the command that installs it, where it is not there."""
    try:
        return import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        expected = f"the library {name}: pip install {install}"
        raise InvalidOption(asked_for, found=f"no {name}", expected=expected) from error


def is_installed(module: str) -> bool:
    """Whether `library` would answer it."""
    try:
        import_module(module)
    except ImportError:
        return False
    return True
