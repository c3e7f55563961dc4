"""AWS SAM as the tests use it: the command line from an environment of its own, never the one that is tested."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from tests.eskit import ROOT

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["TEMPLATE", "build", "tool"]

TEMPLATE: Final = ROOT / "infra" / "template.yaml"


def tool(name: str) -> str:
    """The path of `sam` or `cfn-lint`: beside the repository's root, else on PATH."""
    beside = ROOT / ".venv-sam" / "bin" / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"there is no '{name}' in .venv-sam or on PATH; `make test` installs it")
    return found


def build(directory: Path, *, platform: str | None = None) -> Path:
    """`sam build` of the template into `directory`, for Lambda or another platform; gives the built template."""
    environ = {**os.environ, "SAM_CLI_TELEMETRY": "0", "PYTHON": sys.executable}
    if platform is not None:
        environ["INGEST_PLATFORM"] = platform
    done = subprocess.run(
        [tool("sam"), "build", "--template", TEMPLATE, "--build-dir", directory],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return directory / "template.yaml"
