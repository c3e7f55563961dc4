"""What a function does with one of its arguments, as far as its code tells."""

from __future__ import annotations

import dis
from itertools import pairwise
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["asks_only"]

_LOOKS_AT_ALL: Final = {"locals", "vars", "dir", "eval", "exec", "_getframe", "currentframe", "stack"}
_ATTRIBUTE: Final = ("LOAD_ATTR", "LOAD_METHOD")


def asks_only(function: object, place: int, attributes: frozenset[str]) -> bool:
    """Whether all that a function does with its argument at `place` is to ask for some of these attributes.

    False wherever that can not be told: of what is no plain function, and of one that hands the argument on, keeps it,
    binds its name again or looks at its own variables.
    """
    if not isinstance(function, FunctionType) or hasattr(function, "__wrapped__"):
        return False
    code = function.__code__
    if place >= code.co_argcount or not _LOOKS_AT_ALL.isdisjoint(code.co_names):
        return False
    name = code.co_varnames[place]
    if name in code.co_cellvars:  # a function inside of it has it, too
        return False
    for this, following in pairwise(dis.get_instructions(code)):
        variables = tuple(_variables(this))
        if name in variables and not (
            this.opname.startswith("LOAD_FAST")
            and variables.count(name) == 1
            and variables[-1] == name  # what is loaded last is what the next instruction is about
            and following.opname in _ATTRIBUTE
            and following.argval in attributes
        ):
            return False
    return True


def _variables(instruction: dis.Instruction) -> Iterator[str]:
    """The local variables that an instruction names; from Python 3.13 on, some name two."""
    if "FAST" in instruction.opname:
        argval: Any = instruction.argval
        yield from argval if isinstance(argval, tuple) else (argval,)
