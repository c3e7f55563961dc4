"""The commands of `eskit`, put together."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from eventsourcing_kit.cli import admin, ingest, questions, rebuild, redrive, show, snapshots, testcase, trail, verify
from eventsourcing_kit.cli.faults import ExitCode, reported, usage_error
from eventsourcing_kit.cli.talk import say

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["app"]

_HELP = """Rebuild any state at any moment from stored events.

Data goes to stdout: tables on a terminal, JSON Lines in a pipe. All talk goes
to stderr. 'eskit COMMAND --help' has examples.

[bold]First steps[/]

  eskit demo                                     a store to try things on
  eskit ingest events.jsonl                      envelopes into a store
  eskit streams                                  what is there
  eskit rebuild orders order-17 --at 2026-03-01  a state at a moment
  eskit rebuild orders --all -o orders.parquet   all states, in a file
  eskit timeline orders order-17                 what each event changed
  eskit bisect orders order-17 'total >= `0`'    the event that broke it
  eskit trail cart-5                             its events in all streams
"""
_EXIT_CODES = """[bold]Exit codes[/]

   0  done
   1  a check found a difference, or some events were refused
   2  usage: an option, a time, a name or a setting that can not be meant
   3  a projection raised, or a stream could not be rebuilt
   4  the store, or a file, is not there, not reachable, or damaged
  70  a fault in eskit itself
 130  interrupted
"""


class _Eskit(TyperGroup):
    """Ends every command, however it ends, with one line on stderr and the exit code that stands for it."""

    def invoke(self, ctx: Any) -> Any:
        with reported():
            return super().invoke(ctx)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: ARG002, FBT001, FBT002 - typer's signature; the end is always ours
        windows_expand_args: bool = True,  # noqa: FBT001, FBT002 - as above
        **extra: Any,
    ) -> Any:
        try:
            code = super().main(
                args,
                prog_name or "eskit",
                complete_var,
                standalone_mode=False,
                windows_expand_args=windows_expand_args,
                **extra,
            )
        except usage_error as error:
            say(_usage_sentence(error))
            sys.exit(ExitCode.USAGE)
        except (typer.Abort, KeyboardInterrupt):
            say("interrupted")
            sys.exit(ExitCode.INTERRUPTED)
        sys.exit(code if isinstance(code, int) else ExitCode.DONE)


app = typer.Typer(
    cls=_Eskit,
    help=_HELP,
    epilog=_EXIT_CODES,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("demo")(admin.demo)
app.command("ingest")(ingest.ingest)
app.command("streams")(show.streams)
app.command("events")(show.events)
app.command("rebuild")(rebuild.rebuild)
app.command("timeline")(questions.timeline)
app.command("diff")(questions.diff)
app.command("blame")(questions.blame)
app.command("bisect")(questions.bisect)
app.command("revisions")(questions.revisions)
app.command("trail")(trail.trail)
app.command("verify")(verify.verify)
app.command("check-ties")(verify.check_ties)
app.command("test-case")(testcase.print_test)
app.command("snapshots")(snapshots.snapshots)
app.command("doctor")(admin.doctor)
app.command("create-table")(admin.create_table)
app.command("migrate")(admin.migrate)
app.command("redrive")(redrive.redrive)


def _say_version(*, wanted: bool) -> None:
    if wanted:
        try:
            print(f"eskit {version('eventsourcing-kit')}")
        except PackageNotFoundError:  # run from a folder, not installed
            print("eskit, not installed")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def eskit(
    ctx: typer.Context,
    *,
    _: Annotated[bool, typer.Option("--version", callback=_say_version, is_eager=True, help="The version")] = False,
) -> None:
    if ctx.invoked_subcommand is None:
        print(ctx.get_help())


def _usage_sentence(error: Any) -> str:
    message = " ".join(error.format_message().split()).rstrip(".")
    path = error.ctx.command_path if error.ctx is not None else "eskit"
    return f"{message}; see '{path} --help'"
