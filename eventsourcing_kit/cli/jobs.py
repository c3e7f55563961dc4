"""The half of `eskit rebuild` that is a job: into a folder, to be gone on with, or into a table."""

from __future__ import annotations

import sys
import time
from contextlib import redirect_stdout
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from eventsourcing_kit.cli import settings
from eventsourcing_kit.cli.faults import ExitCode, say_error
from eventsourcing_kit.cli.saving import check_keeps
from eventsourcing_kit.cli.talk import many, say
from eventsourcing_kit.cli.window import Window
from eventsourcing_kit.errors import RebuildsFailed
from eventsourcing_kit.moment import to_canonical
from eventsourcing_kit.progress import Progress
from eventsourcing_kit.trails.duration import duration

if TYPE_CHECKING:
    from eventsourcing_kit.jobs.manifest import Manifest
    from eventsourcing_kit.jobs.view import View
    from eventsourcing_kit.outcomes import StreamFailure

__all__ = [
    "IntoOption",
    "PartFormat",
    "PartStreamsOption",
    "PartsOption",
    "ResumeOption",
    "WorkersOption",
    "is_folder",
    "pace",
    "run_job",
    "run_publish",
]

_SAID: Final = 5  # failures; the manifest lists them all
_EVERY_SECONDS: Final = 0.2


class PartFormat(StrEnum):
    jsonl = "jsonl"
    parquet = "parquet"


WorkersOption = Annotated[int, typer.Option(min=1, metavar="N", help="Processes that share the streams")]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on with the job that was stopped")]
IntoOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Into a view, in place of its old rows: sqlite:///FILE or dynamodb://TABLE?region=...",
        show_default=False,
    ),
]
PartsOption = Annotated[PartFormat, typer.Option(help="What the parts in a folder are")]
PartStreamsOption = Annotated[int, typer.Option(min=1, metavar="N", help="Streams in one part")]


def is_folder(output: str) -> bool:
    """Whether `-o` names a folder: one that is there, or a name without an ending, or with a slash behind it."""
    path = Path(output)
    return output.endswith(("/", "\\")) or path.is_dir() or (path.suffix == "" and output != "-")


def run_job(name: str, folder: str, store_url: str | None, app: str | None, *, resume: bool, **question: Any) -> None:
    """The whole command. `question` is as for `rebuild_job`."""
    from eventsourcing_kit.jobs.folder import rebuild_job

    pace = _Pace()
    with redirect_stdout(sys.stderr), settings.store(store_url) as store:
        check_keeps(store, question.get("snapshots"))
        projection = settings.catalog(app).get(name)
        try:
            job = rebuild_job(projection, store, folder, resume=resume, progress=pace, **question)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"the same command with --resume goes on in '{folder}'") from None
        finally:
            pace.close()
    for failure in job.failures[:_SAID]:
        say(failure.message)
    more = len(job.failures) - _SAID
    if more > 0:
        say(f"and {many(more, 'more stream')} failed, as the manifest lists")
    warned = f", {job.warned:,} with warnings" if job.warned else ""
    failed = f"; {many(job.failed, 'stream')} failed" if job.failed else ""
    say(f"{many(job.states, 'state')} in {many(len(job.parts), 'part')} in '{folder}'{warned}{failed}")
    if job.failed:
        raise typer.Exit(ExitCode.PROJECTION)


def run_publish(name: str, into: str, store_url: str | None, app: str | None, *, resume: bool, **question: Any) -> None:
    """The whole command. `question` is as for `publish`."""
    from eventsourcing_kit.jobs.publishing import publish

    failures: list[StreamFailure] = []
    begun, started = False, to_canonical(time.time_ns())
    with redirect_stdout(sys.stderr), settings.store(store_url) as store:
        check_keeps(store, question.get("snapshots"))
        projection = settings.catalog(app).get(name)
        with Progress("rebuilding") as progress:

            def tell(view: View, rows: int) -> None:
                nonlocal begun
                if not begun:
                    begun = True
                    Window(start=view.start, at=view.at, known_at=view.known_at).tell()
                    if view.began < started:
                        say(f"going on with what began at {view.began}")
                progress.update(done=rows, note=many(rows, "state"))

            try:
                view = publish(projection, store, into, failures=failures, progress=tell, resume=resume, **question)
            except KeyboardInterrupt:
                kept = f"'{into}' has what it had; the same command with --resume goes on"
                raise KeyboardInterrupt(kept) from None
            except RebuildsFailed:
                for failure in failures[:_SAID]:
                    say_error(failure.error)
                say(f"{many(len(failures), 'stream')} failed, so '{into}' has what it had")
                raise typer.Exit(ExitCode.PROJECTION) from None
    say(f"{many(view.states, 'state')} in the view '{name}' of '{into}'")


class _Pace:
    """How far the job is, how fast, and how long it will take."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._began = self._said = time.monotonic()
        self._before = 0
        self._streams: int | None = None  # of the job, 0 while one pass over a table has not found them all

    def __call__(self, job: Manifest, done: int) -> None:
        now = time.monotonic()
        if self._streams != job.streams:
            if self._streams is None:
                Window(start=job.start, at=job.at, known_at=job.known_at).tell()
            if done and job.streams:
                say(f"{many(done, 'stream')} of {job.streams:,} were done before")
            self.close()
            self._progress = Progress("rebuilding" if job.streams else "reading", total=job.streams or None)
            self._began, self._before, self._streams = now, done, job.streams
        elif self._progress is not None and now - self._said >= _EVERY_SECONDS:
            self._said = now
            note = pace(done, job.streams, fresh=done - self._before, seconds=now - self._began)
            self._progress.update(done=done, note=note)

    def close(self) -> None:
        if self._progress is not None:
            self._progress.close()


def pace(done: int, streams: int, *, fresh: int, seconds: float) -> str:
    """How many streams are done, how many that were `fresh` in a second, and how long the others will take."""
    if not streams:
        return many(done, "stream")
    if not fresh or not seconds:
        return f"{done:,} of {streams:,} streams"
    left = duration(round((streams - done) * seconds / fresh) * 1_000_000_000)
    return f"{done:,} of {streams:,} streams, {fresh / seconds:,.0f} a second, {left} left"
