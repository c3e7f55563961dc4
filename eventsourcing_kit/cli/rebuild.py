"""`eskit rebuild`: states at a moment, on the screen, in a pipe or in a file."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from eventsourcing_kit import output as files
from eventsourcing_kit.cli import settings
from eventsourcing_kit.cli.costs import DryRunOption, PriceOption, ReadingWay, WayOption, check_costs, say_costs
from eventsourcing_kit.cli.faults import UsageProblem, code_of, say_error
from eventsourcing_kit.cli.jobs import (
    IntoOption,
    PartFormat,
    PartsOption,
    PartStreamsOption,
    ResumeOption,
    WorkersOption,
    is_folder,
    run_job,
    run_publish,
)
from eventsourcing_kit.cli.options import (  # noqa: TC001 - typer reads them
    AllOption,
    AllowIncompleteOption,
    AppOption,
    AtOption,
    FormatOption,
    KnownAtOption,
    PrefixOption,
    ProjectionArgument,
    StartOption,
    StoreOption,
    StreamsArgument,
    TzOption,
)
from eventsourcing_kit.cli.saving import SnapshotsOption, check_keeps, check_window, saving_of
from eventsourcing_kit.cli.show import check_stream
from eventsourcing_kit.cli.tables import Printer
from eventsourcing_kit.cli.talk import many, say
from eventsourcing_kit.cli.window import Window
from eventsourcing_kit.errors import InvalidProjection
from eventsourcing_kit.jobs.manifest import PART_STREAMS
from eventsourcing_kit.moment import to_canonical
from eventsourcing_kit.outcomes import StreamFailure
from eventsourcing_kit.rebuilding import rebuild_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from eventsourcing_kit.outcomes import Rebuilt
    from eventsourcing_kit.progress import Progress
    from eventsourcing_kit.projection import Projection

__all__ = ["chosen_streams", "rebuild"]


_NAMED: Final = 5  # streams without an event that are named


class OnError(StrEnum):
    stop = "raise"
    skip = "skip"


def rebuild(
    name: ProjectionArgument,
    streams: StreamsArgument = None,
    *,
    every: AllOption = False,
    prefix: PrefixOption = None,
    at: AtOption = None,
    known_at: KnownAtOption = None,
    start: StartOption = None,
    tz: TzOption = "UTC",
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PLACE",
            help="Write into FILE.jsonl or FILE.parquet, or as a job into a folder",
            show_default=False,
        ),
    ] = None,
    allow_incomplete: AllowIncompleteOption = False,
    on_error: Annotated[
        OnError, typer.Option(help="Where a handler raises: give up that stream, or skip and count that event")
    ] = OnError.stop,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first stream that fails")] = False,
    into: IntoOption = None,
    workers: WorkersOption = 1,
    resume: ResumeOption = False,
    parts: PartsOption = PartFormat.jsonl,
    part_streams: PartStreamsOption = PART_STREAMS,
    snapshots: SnapshotsOption = None,
    way: WayOption = ReadingWay.auto,
    dry_run: DryRunOption = False,
    price: PriceOption = None,
    store_url: StoreOption = None,
    app: AppOption = None,
    format: FormatOption = None,  # noqa: A002 - the option's name
) -> None:
    """Rebuild states as they were at a moment.

    Without --at every event counts. With --known-at the answer is as it would
    have been given then: events that were recorded later are left out.
    A stream that fails is named on stderr and does not stop the others.

    [bold]Examples[/]

      eskit rebuild orders order-17 --at 2026-03-01T11:03:27Z
      eskit rebuild orders order-17 order-18 --at 2026-03-01 --tz Europe/Berlin
      eskit rebuild orders order-17 --at 2026-03-01 --known-at 2026-03-02
      eskit rebuild stock --prefix sku- --at '2h ago' | jq .state
      eskit rebuild orders --all -o orders.parquet
      eskit rebuild orders --all --at 2026-03-01 -o states/ --workers 8
      eskit rebuild orders --all --into sqlite:///views.db
      eskit rebuild orders --all --into 'dynamodb://views?region=eu-west-1' --resume
      eskit rebuild orders --all --dry-run
      eskit rebuild stock sku-mug --at 2026-03-01 --snapshots auto

    A JSON line has: stream, projection, version, at, known_at, events, last,
    complete, warnings, state. A file is written whole or not at all.

    A folder gets parts and a manifest.json. A view, which --into fills, has its
    old rows until all new ones are there. Both are jobs: stopped in any way,
    the same command with --resume goes on. Without --known-at both have what
    was known when they began.

    With --snapshots each stream is folded from a saved state where one fits, and
    others are saved: the answer is the same, also of a job, whose --resume may
    have another setting. It is refused with --start and with --at event:..., and
    with --way scan, which reads all events anyway.

    With --dry-run nothing is rebuilt: it says how a table would be read, the
    read units, and their cost. Of an SQLite file nothing is charged. With
    --snapshots that is what is read at most, where none of them fits.

    [bold]Exit codes[/]: 0 done, 2 usage, 3 a projection raised or a stream
    could not be rebuilt, 4 store.
    """
    printer = Printer(format)
    chosen = chosen_streams(streams or [], prefix, every=every)
    job = into is not None or (output is not None and is_folder(output))
    _check_job(output, into, strict=strict, resume=resume, job=job)
    check_costs(price, way, dry_run=dry_run, into=into)
    saving = saving_of(snapshots)
    check_window(saving, start=start, at=at)
    if dry_run:
        asked: dict[str, Any] = {"streams": chosen, "at": at, "known_at": known_at, "start": start, "tz": tz}
        say_costs(printer, name, store_url, app, price, **asked, workers=workers, snapshots=saving, way=way.value)
        return
    if job:
        question: dict[str, Any] = {
            "streams": chosen,
            "at": at,
            "known_at": known_at,
            "start": start,
            "tz": tz,
            "workers": workers,
            "allow_incomplete": allow_incomplete,
            "on_error": on_error.value,
            "snapshots": saving,
        }
        if into is not None:
            run_publish(name, into, store_url, app, resume=resume, **question)
        elif output is not None:
            more: dict[str, Any] = {"part_format": parts.value, "part_streams": part_streams, "resume": resume}
            run_job(name, output, store_url, app, **question, **more, way=way.value)
        return
    if output is not None:
        files.check_output(output)
    window = Window.of(start=start, at=at, known_at=known_at, tz=tz)
    failures = _Failures()
    # What a user's module or handler prints is talk: stdout is for the answers.
    with redirect_stdout(sys.stderr), settings.store(store_url) as store:
        check_keeps(store, saving)
        projection = settings.catalog(app).get(name)
        window.tell()
        with printer.progress("rebuilding") as progress:
            answers = rebuild_all(
                projection,
                store,
                streams=chosen,
                at=window.at,
                known_at=window.known_at,
                start=window.start,
                allow_incomplete=allow_incomplete,
                on_error=on_error.value,
                strict=strict,
                failures=failures,
                workers=workers,
                snapshots=saving,
                way=way.value,
            )
            count = _Count(progress)
            if output is not None:
                count.given = files.write(
                    output, projection, count.over(answers), failures=None if strict else failures
                )
            else:
                count.given = _show(printer, projection, count.over(answers), None if strict else failures)
    _tell(count, failures, output)
    if failures:
        raise typer.Exit(max(code_of(failure.error) for failure in failures))


def _check_job(output: str | None, into: str | None, *, strict: bool, resume: bool, job: bool) -> None:
    if output is not None and into is not None:
        raise UsageProblem("say where to: --output or --into, one of the two")
    if strict and job:
        raise UsageProblem("--strict stops at the first stream that fails, and a job lists them all; drop it")
    if resume and not job:
        raise UsageProblem("--resume goes on with a job: -o FOLDER, or --into URL")


class _Failures(list[StreamFailure]):
    """Says each failure when it happens."""

    def append(self, failure: StreamFailure) -> None:
        say_error(failure.error)
        super().append(failure)


class _Count:
    """What a reader of many answers should know of them all."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.given = 0
        self.warned = 0
        self.resumed = 0  # states that began at a snapshot
        self.empty = 0  # streams without an event up to that moment
        self.empty_names: list[str] = []  # the first few of them

    def over(self, answers: Iterable[Rebuilt[Any]]) -> Iterator[Rebuilt[Any]]:
        for number, rebuilt in enumerate(answers, start=1):
            self.warned += bool(rebuilt.warnings)
            self.resumed += rebuilt.snapshot is not None
            if rebuilt.last is None and not rebuilt.warnings:
                self.empty += 1
                self.empty_names += [rebuilt.stream] if len(self.empty_names) < _NAMED else []
            self._progress.update(done=number, note=many(number, "stream"))
            yield rebuilt


def chosen_streams(streams: list[str], prefix: str | None, *, every: bool) -> str | list[str] | None:
    """What `rebuild_all` takes: None for all, a prefix, or a list."""
    if bool(streams) + (prefix is not None) + every != 1:
        raise UsageProblem("say which streams: their keys, or --prefix, or --all; one of the three")
    check_stream(*streams, prefix or "")
    return streams or prefix


def _show(
    printer: Printer,
    projection: Projection[Any, Any],
    answers: Iterable[Rebuilt[Any]],
    failures: list[StreamFailure] | None,
) -> int:
    shown = 0
    for rebuilt in answers:
        try:
            if printer.is_table:
                _show_one(printer, projection, rebuilt)
            else:
                printer.line(files.to_json(projection, rebuilt))
            shown += 1
        except InvalidProjection as error:
            if failures is None:
                raise
            failures.append(StreamFailure(rebuilt.stream, error))
    return shown


def _show_one(printer: Printer, projection: Projection[Any, Any], rebuilt: Rebuilt[Any]) -> None:
    state = files.state_json(projection, rebuilt)
    last = rebuilt.last
    printer.text(rebuilt.stream, style="bold")
    pairs = [
        ("projection", f"{rebuilt.projection}, version {rebuilt.version}"),
        ("at", "the end" if rebuilt.at_ns is None else to_canonical(rebuilt.at_ns)),
    ]
    if rebuilt.known_at_ns is not None:
        pairs.append(("known at", to_canonical(rebuilt.known_at_ns)))
    pairs += [
        ("events", f"{rebuilt.events:,}"),
        ("last", "none" if last is None else f"{last.key}, id {last.id}"),
        ("complete", "yes" if rebuilt.complete else "no"),
    ]
    for warning in rebuilt.warnings:
        examples = f": {', '.join(warning.keys)}" if warning.keys else ""
        pairs.append(("warning", warning.message + examples))
    printer.facts(pairs, indent="  ")
    printer.json(state, indent="  ")


def _tell(count: _Count, failures: list[StreamFailure], output: str | None) -> None:
    if count.empty:
        names = ", ".join(f"'{name}'" for name in count.empty_names) + (", ..." if count.empty > _NAMED else "")
        say(f"no event up to then, so the initial state, for {many(count.empty, 'stream')}: {names}")
    if count.resumed:
        say(f"{many(count.resumed, 'state')} began at a snapshot")
    if output is None and count.given + len(failures) == 1:
        return
    place = f" in '{output}'" if output is not None else ""
    warned = f", {count.warned:,} with warnings" if count.warned else ""
    failed = f"; {many(len(failures), 'stream')} failed" if failures else ""
    say(f"{many(count.given, 'state')}{place}{warned}{failed}")
