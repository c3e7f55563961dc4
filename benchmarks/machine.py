"""Where and when the figures were taken, without which they mean nothing."""

from __future__ import annotations

import os
import platform
import sqlite3
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import apsw

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["description", "load"]


def description() -> Iterator[str]:
    """A few lines on the machine, Python and the libraries."""
    packages = ("eventsourcing", "msgspec", "pydantic", "apsw")
    yield f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    yield f"{_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, load average {load()}"
    yield f"{platform.python_implementation()} {platform.python_version()}, " + ", ".join(map(_package, packages))
    yield f"SQLite {apsw.sqlite_lib_version()} (apsw), {sqlite3.sqlite_version} (Python's sqlite3, which the peer uses)"


def load() -> str:
    """How many processes wanted a core in the last 1, 5 and 15 minutes. More than cores: only the ratios mean much."""
    return " ".join(f"{figure:.1f}" for figure in os.getloadavg())


def _package(name: str) -> str:
    return f"{name} {version(name)}"


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
