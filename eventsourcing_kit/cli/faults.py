"""Errors, as one line of talk and an exit code. Never a traceback, and never anything of an event's payload."""

from __future__ import annotations

import sys
import sysconfig
import traceback
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import typer

from eventsourcing_kit.cli.talk import say, silence
from eventsourcing_kit.errors import (
    CheckFailed,
    EndsAgree,
    EventNotFound,
    EventRefused,
    EventSourcingError,
    FoldCrashed,
    FoldFailed,
    IncompleteStream,
    IndexNotFound,
    InvalidMoment,
    InvalidOption,
    InvalidProjection,
    InvalidStoreURL,
    ProjectionNotFound,
    RebuildsFailed,
    StoreError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ExitCode", "UsageProblem", "code_of", "reported", "say_error", "usage_error"]

_OWN_CODE: Final = Path(__file__).parents[1]
_SHOWN_FRAMES: Final = 3
_EXTRAS: Final = {"boto3": "aws", "botocore": "aws", "rich": "cli"}  # which extra brings a library

# The base of typer's own usage errors: click's, or the copy of click that newer typers carry.
usage_error: Final[type[Exception]] = typer.BadParameter.__bases__[0]


class ExitCode(IntEnum):
    DONE = 0
    DIFFERENCE = 1
    USAGE = 2
    PROJECTION = 3
    STORE = 4
    FAULT = 70
    INTERRUPTED = 130


class UsageProblem(Exception):
    """What was typed can not be meant; the message says what to type."""


@contextmanager
def reported() -> Iterator[None]:
    """Inside of it, whatever is raised ends the command with one line on stderr and its exit code."""
    try:
        yield
        _flush()
    except (typer.Exit, typer.Abort, usage_error):
        _flush()
        raise
    except BrokenPipeError:
        silence(sys.stdout)
        raise typer.Exit(ExitCode.DONE) from None  # `| head` has had all that it wanted
    except KeyboardInterrupt as interrupt:
        say("; ".join(["interrupted", *map(str, interrupt.args)]))
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    except GeneratorExit:
        raise
    except BaseException as error:  # noqa: BLE001 - also a SystemExit out of a user's handler
        if isinstance(error.__context__, BrokenPipeError):  # rich exits where it meets one
            silence(sys.stdout)
            raise typer.Exit(ExitCode.DONE) from None
        say_error(error)
        raise typer.Exit(code_of(error)) from None


def say_error(error: BaseException) -> None:
    """The error in one line; where a user's function raised, also the last places in their code."""
    say(_sentence(error))
    cause = error.__cause__ if isinstance(error, FoldFailed) else error if isinstance(error, SystemExit) else None
    if cause is not None:
        frames = _frames(cause)
        users = [frame for frame in frames if _is_users(frame.file)]
        for frame in (users or frames)[-_SHOWN_FRAMES:]:
            say(f"  {_place(frame)}")
    for place in getattr(error, "__notes__", ()) if isinstance(error, EventSourcingError) else ():
        say(f"  {place}")  # where it raised in another process


def code_of(error: BaseException) -> ExitCode:
    """The exit code that stands for an error."""
    for kinds, code in _CODES:
        if isinstance(error, kinds):
            return code
    return ExitCode.USAGE if _missing_extra(error) else ExitCode.FAULT


_OF_A_PROJECTION: Final = (
    *(CheckFailed, FoldCrashed, FoldFailed, IncompleteStream, InvalidProjection, RebuildsFailed, SystemExit),
)
_CODES: Final[tuple[tuple[tuple[type[BaseException], ...], ExitCode], ...]] = (
    ((UsageProblem, InvalidMoment, InvalidOption, InvalidStoreURL, ProjectionNotFound), ExitCode.USAGE),
    ((EndsAgree, EventNotFound), ExitCode.USAGE),
    (_OF_A_PROJECTION, ExitCode.PROJECTION),
    ((EventRefused,), ExitCode.DIFFERENCE),
    ((StoreError, OSError), ExitCode.STORE),
)


def _sentence(error: BaseException) -> str:
    if isinstance(error, (EventSourcingError, UsageProblem)):
        return f"{error}{_hint(error)}"
    if isinstance(error, SystemExit):
        return "the projections' code made Python exit"
    if isinstance(error, OSError) and error.strerror:
        place = f"'{error.filename}': " if error.filename else ""
        return f"{place}{error.strerror}"
    missing = _missing_extra(error)
    if missing:
        return f"this needs the library '{missing}': pip install 'eventsourcing-kit[{_EXTRAS[missing]}]'"
    # The message may quote a payload, so it is left out.
    places = ", ".join(map(_place, _frames(error)[-_SHOWN_FRAMES:])) or "an unknown place"
    return f"a fault in eskit itself: {type(error).__name__} at {places}; please report it"


def _hint(error: BaseException) -> str:
    """What to type, where the error itself can not know of a command line."""
    if isinstance(error, ProjectionNotFound):
        return "; --app MODULE names another place"
    if isinstance(error, IndexNotFound):
        return " (--scan)"
    if isinstance(error, IncompleteStream):
        return " (--allow-incomplete)"
    return ""


def _missing_extra(error: BaseException) -> str | None:
    """The library that could not be imported, where an extra brings it."""
    name = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    return name if name in _EXTRAS else None


class _Frame(NamedTuple):
    file: Path
    line: int
    function: str


def _frames(error: BaseException) -> list[_Frame]:
    walked = traceback.walk_tb(error.__traceback__)
    return [_Frame(Path(frame.f_code.co_filename), line, frame.f_code.co_qualname) for frame, line in walked]


def _is_users(file: Path) -> bool:
    installed = [sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")]
    return not any(file.is_relative_to(folder) for folder in [str(_OWN_CODE), *installed])


def _place(frame: _Frame) -> str:
    here = Path.cwd()
    file = frame.file.relative_to(here) if frame.file.is_relative_to(here) else frame.file
    return f"{file}:{frame.line} in {frame.function}"


def _flush() -> None:
    """Now, as the interpreter at its end would complain of a reader that went away."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        silence(sys.stdout)
