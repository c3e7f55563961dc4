"""`eskit ingest`: envelopes into a store, each refusal with its place, the rest stored."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from eventsourcing_kit.cli import settings
from eventsourcing_kit.cli.faults import ExitCode, UsageProblem
from eventsourcing_kit.cli.options import (  # noqa: TC001 - typer reads them
    CausationPathOption,
    CorrelationPathOption,
    FormatOption,
    StoreOption,
    StreamPathOption,
)
from eventsourcing_kit.cli.tables import Printer
from eventsourcing_kit.cli.talk import say
from eventsourcing_kit.envelope import parse
from eventsourcing_kit.errors import EventRefused, InvalidEnvelope
from eventsourcing_kit.event import Event
from eventsourcing_kit.lines import MAX_LINE, STDIN, Line, Source, Unreadable
from eventsourcing_kit.stores.contract import Counts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from eventsourcing_kit.progress import Progress
    from eventsourcing_kit.stores.contract import Store

__all__ = ["Refusal", "Tally", "ingest", "store_lines"]

BATCH: Final = 1_000  # lines of one transaction
BATCH_BYTES: Final = 8_000_000  # or fewer, so that long lines do not add up in memory


class Identity(StrEnum):
    content = "content"
    id = "id"


@dataclass(frozen=True)
class Refusal:
    """An envelope that was not stored, and why; nothing of its payload."""

    file: str
    line: int
    field: str | None
    reason: str
    error: str  # its class in eventsourcing_kit.errors

    @classmethod
    def of(cls, line: Line, error: EventRefused) -> Refusal:
        if isinstance(error, InvalidEnvelope):
            reason = f"found {error.found}, expected {error.expected}"
            return cls(line.file, line.number, error.field, reason, type(error).__name__)
        return cls(line.file, line.number, None, str(error), type(error).__name__)

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}"
        return f"{place}: {self.field}: {self.reason}" if self.field else f"{place}: {self.reason}"


@dataclass
class Tally:
    """What became of the envelopes so far."""

    counts: Counts = field(default_factory=Counts)
    refused: int = 0
    unreadable: int = 0  # files that could not be read to their end

    def facts(self) -> dict[str, int]:
        counts = self.counts
        return {
            "stored": counts.stored,
            "twins": counts.twins,
            "duplicate": counts.duplicate,
            "other_id": counts.other_id,
            "refused": self.refused,
            "unreadable": self.unreadable,
        }

    def __str__(self) -> str:
        return f"{self.counts.stored:,} stored, {self.counts.duplicate:,} duplicate, {self.refused:,} refused"


def ingest(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="JSON Lines, plain or gzip; - is stdin")],
    *,
    store_url: StoreOption = None,
    stream_path: StreamPathOption = None,
    correlation_path: CorrelationPathOption = None,
    causation_path: CausationPathOption = None,
    identity: Annotated[
        Identity, typer.Option(help="What makes two events one: equal content, or equal content under one id")
    ] = Identity.content,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first refusal; what is before it is stored")
    ] = False,
    refused: Annotated[
        str | None, typer.Option(metavar="FILE.jsonl", help="Write the refusals here, and not to stderr")
    ] = None,
    format: FormatOption = None,  # noqa: A002 - the option's name
) -> None:
    """Store EventBridge envelopes, one JSON object a line.

    Each event is stored once, however often it comes: in doubt, run it again.
    An envelope that can not be stored is refused with file, line, field and
    reason; all others are stored. Up to 1,000 lines make one transaction.

    [bold]Examples[/]

      eskit ingest events.jsonl more.jsonl.gz
      zcat backup.gz | eskit ingest - --store dynamodb://events?region=eu-west-1
      eskit ingest orders.jsonl --stream-path detail.order.id --refused refused.jsonl

    [bold]Output[/]: how many events were stored, twins (of these: a different
    event had their key), duplicate, other_id (of these: they came under another
    id), refused, and how many files were unreadable.

    [bold]Exit codes[/]: 0 all is in the store, 1 some were refused or a file
    was not readable to its end, 2 usage, 4 store.
    """
    printer = Printer(format)
    _check_files(files)
    tally = Tally()

    def parsed(content: bytes) -> Event:
        return parse(
            content,
            stream_path,
            identity.value,
            correlation_path=correlation_path,
            causation_path=causation_path,
        )

    sources = [Source(name) for name in files]
    with (
        settings.store(store_url) as store,
        _refusals(refused) as refuse,
        printer.progress("ingesting", total=sum(source.size for source in sources)) as progress,
        _so_far(tally),
    ):
        for source in sources:
            try:
                lines = _watched(source, progress, tally)
                store_lines(store, lines, parsed, tally=tally, refuse=refuse, strict=strict)
            except Unreadable as error:
                tally.unreadable += 1
                say(str(error))
            if strict and (tally.refused or tally.unreadable):
                say(f"stopped in '{source.name}' at the first refusal, as --strict asks")
                break
    with suppress(BrokenPipeError):  # the exit code tells in any case
        _show(printer, tally)
    if tally.refused or tally.unreadable:
        raise typer.Exit(ExitCode.DIFFERENCE)


def _check_files(names: Sequence[str]) -> None:
    """Raises UsageProblem where a name is no file, before anything of the others is read."""
    for name in names:
        path = Path(name)
        if name == STDIN:
            if sys.stdin is None:
                raise UsageProblem("stdin is closed, so that '-' has nothing to read")
            continue
        if path.is_dir():
            raise UsageProblem(f"'{name}' is a folder; name the files in it")
        if not path.exists():
            raise UsageProblem(f"there is no file '{name}'")
    if names.count(STDIN) > 1:
        raise UsageProblem("stdin, which is '-', can be read once only")


def store_lines(
    store: Store,
    lines: Iterable[Line],
    parsed: Callable[[bytes], Event],
    *,
    tally: Tally,
    refuse: Callable[[Refusal], None],
    strict: bool,
) -> None:
    """Stores the events of all lines, batch by batch, and counts them; with `strict` up to the first refusal."""
    for batch in _batches(lines, parsed, strict=strict):
        outcomes = store.append_each(event for _, event in batch if isinstance(event, Event))
        results = iter(list(outcomes))
        refused_before = tally.refused
        for line, event in batch:
            result = event if isinstance(event, EventRefused) else next(results)
            if isinstance(result, EventRefused):
                tally.refused += 1
                refuse(Refusal.of(line, result))
            else:
                tally.counts = tally.counts.plus(result)
        if strict and tally.refused > refused_before:
            return


Batch = list[tuple[Line, Event | EventRefused]]


def _batches(lines: Iterable[Line], parsed: Callable[[bytes], Event], *, strict: bool) -> Iterator[Batch]:
    """Lines with their events or refusals. When the lines break off, those that came before are given first."""
    batch: Batch = []
    size = 0
    broken: Unreadable | None = None
    try:
        for line in lines:
            event = _parse(line, parsed)
            size += len(line.content or b"")
            batch.append((line._replace(content=None), event))
            if len(batch) >= BATCH or size >= BATCH_BYTES or (strict and isinstance(event, EventRefused)):
                yield batch
                batch, size = [], 0
    except Unreadable as error:
        broken = error
    if batch:
        yield batch
    if broken is not None:
        raise broken


def _parse(line: Line, parsed: Callable[[bytes], Event]) -> Event | EventRefused:
    if line.content is None:
        found = f"a line of more than {MAX_LINE:,} bytes"
        return InvalidEnvelope("envelope", found=found, expected="one envelope a line")
    try:
        return parsed(line.content)
    except EventRefused as refused:
        return refused


def _watched(source: Source, progress: Progress, tally: Tally) -> Iterator[Line]:
    already = progress.done
    for count, line in enumerate(source.lines()):
        if count % BATCH == 0:
            progress.update(done=already + source.position, note=str(tally))
        yield line
    progress.update(done=already + source.size, note=str(tally))


@contextmanager
def _refusals(path: str | None) -> Iterator[Callable[[Refusal], None]]:
    """Where refusals go: to stderr as talk, or into a file as JSON Lines."""
    if path is None:
        yield lambda refusal: say(str(refusal))
        return
    with Path(path).open("w", encoding="utf-8") as file:
        # ASCII, so that the file can be looked at with any tool.
        yield lambda refusal: print(json.dumps(asdict(refusal)), file=file)


@contextmanager
def _so_far(tally: Tally) -> Iterator[None]:
    """When the work breaks off, what is in the store by then is said."""
    try:
        yield
    except KeyboardInterrupt:
        hint = "run it again to go on, what is stored is not stored twice"
        raise KeyboardInterrupt(f"{tally} so far; {hint}") from None
    except BaseException:
        if tally != Tally():
            say(f"{tally} until this:")
        raise


def _show(printer: Printer, tally: Tally) -> None:
    facts = tally.facts()
    if not printer.is_table:
        printer.record(facts)
        return
    printer.facts([(name.replace("_", " "), f"{count:,}") for name, count in facts.items()])
