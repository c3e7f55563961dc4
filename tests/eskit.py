"""The command line as its tests use it: at a desk of its own, in this process or as a process."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from typer.testing import CliRunner

from eventsourcing_kit import open_store, parse
from eventsourcing_kit.catalog import PACKAGE
from eventsourcing_kit.cli.app import app

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import pytest

__all__ = ["COMMAND", "ROOT", "Desk", "Done", "desk_at", "is_let_go", "lines", "without_projections"]

ROOT: Final = Path(__file__).parents[1]
COMMAND: Final = [sys.executable, "-m", "eventsourcing_kit.cli"]


@dataclass(frozen=True)
class Done:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def records(self) -> list[Any]:
        """stdout as JSON Lines."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def talk(self) -> list[str]:
        """stderr without the lines that say which store and which projections are used."""
        known = ("eskit: store ", "eskit: projections from ", "eskit: at the end")
        return [line for line in self.err.splitlines() if not line.startswith(known)]


@dataclass(frozen=True)
class Desk:
    """A working directory, whose store is `events.db`."""

    folder: Path

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def store(self, *envelopes: Mapping[str, Any], url: str = "sqlite:///events.db") -> None:
        """Puts events into the store without a command."""
        with open_store(url) as store:
            store.create_table()
            store.append_many(map(parse, envelopes))

    def run(self, *arguments: str) -> Done:
        """The command in this process, as in a pipe."""
        result = CliRunner().invoke(app, arguments, prog_name="eskit")
        return Done(int(result.exit_code), result.stdout, result.stderr)

    def spawn(self, *arguments: str, **more: Any) -> subprocess.Popen[bytes]:
        """The command as a process, with pipes."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        options = {"cwd": self.folder, "env": self.environ(), **pipes, **more}
        return subprocess.Popen([*COMMAND, *arguments], **options)

    def process(self, *arguments: str, stdin: bytes = b"") -> Done:
        """The command as a process, to its end."""
        with self.spawn(*arguments) as process:
            out, err = process.communicate(stdin, timeout=60)
        return Done(process.returncode, out.decode(), err.decode())

    def environ(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}


@contextmanager
def desk_at(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A desk in `folder`, where this process works meanwhile."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delenv("COLUMNS", raising=False)
    with without_projections():
        yield Desk(folder)


@contextmanager
def without_projections() -> Iterator[None]:
    """As in a process that has not imported any `projections` yet, and as if none had been imported inside of it."""

    def taken() -> dict[str, Any]:
        return {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == PACKAGE}

    before = taken()
    try:
        yield
    finally:
        taken()
        sys.modules.update(before)


def is_let_go(pipe: IO[bytes]) -> bool:
    """Whether nobody holds the other end any more, of those who have been ended."""
    readable, _, _ = select.select([pipe], [], [], 30)
    return bool(readable) and pipe.read() == b""


def lines(envelopes: Iterable[Mapping[str, Any]]) -> str:
    """Envelopes as JSON Lines."""
    return "".join(f"{json.dumps(envelope)}\n" for envelope in envelopes)
