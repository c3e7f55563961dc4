"""`import eventsourcing_kit` beside `import boto3`, each time in a new interpreter.

The kit's names are loaded when they are first asked for; so the import is also measured with those that every user
asks for. Both sides find their modules compiled.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.finding import Finding, over
from benchmarks.interpreters import start_in_turns
from benchmarks.measuring import show

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.scale import Scale

__all__ = ["measure"]

AIM: Final = 0.15
_ROOT: Final = Path(__file__).parents[1]
_SCRIPTS: Final = {
    "import eventsourcing_kit": "import eventsourcing_kit",
    "import boto3": "import boto3",
    "with its names": "from eventsourcing_kit import Event, Projection, open_store, parse, rebuild",
}


def measure(scale: Scale, place: Path) -> Iterator[Finding]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(place)
    figures = start_in_turns(
        {name: (script, _ROOT) for name, script in _SCRIPTS.items()},
        environment=environment,
        rounds=scale.pick(tiny=1, usual=15, full=31),
    )
    kit, boto3, names = figures.values()
    show("imports, each in a new interpreter", [kit, boto3, names], name="the kit", each_is="import")
    yield Finding.of("import of the kit over import boto3", over(kit, boto3), at_most=AIM)
    yield Finding.of("import of the kit's first names over import boto3", over(names, boto3))
