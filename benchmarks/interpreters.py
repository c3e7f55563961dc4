"""Scripts that each run in a new interpreter, in turns: what a start costs."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

from benchmarks.measuring import Figures, note

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["start_in_turns"]

# The interpreter's own start is left out.
_BEGIN: Final = """
import time
began = time.process_time()
"""
_END: Final = """
print(time.process_time() - began)
"""


def start_in_turns(
    scripts: Mapping[str, tuple[str, Path]],
    *,
    environment: Mapping[str, str],
    rounds: int,
    arguments: Sequence[str] = (),
) -> dict[str, Figures]:
    """Seconds of processor time for each script, which runs in the directory beside it.

    A busy machine changes processor time less than the wall clock. A round before the first fills the caches of files.
    """
    figures = {name: Figures(name, clock=time.process_time) for name in scripts}
    for number in range(rounds + 1):
        note(f"  start {number} of {rounds}")
        for name, (script, directory) in scripts.items():
            done = subprocess.run(
                [sys.executable, "-c", _BEGIN + script + _END, *arguments, str(number)],
                env=environment,
                cwd=directory,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                check=True,
                timeout=60,
            )
            if number:
                figures[name].seconds.append(float(done.stdout))
    return figures
