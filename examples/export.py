"""Runs the example notebooks and makes a page of each in `docs`: `python -m examples.export`.

A page is whole by itself: its charts and its style are in it, it runs no script and loads nothing. Nothing of the
machine on which it was made is in it, so that making it anew changes little.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped, unused-ignore]

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbformat import NotebookNode

__all__ = ["NOTEBOOKS", "PAGES", "executed", "export", "page_of", "to_page"]

ROOT: Final = Path(__file__).parents[1]
NOTEBOOKS: Final = tuple(sorted((ROOT / "examples").glob("*.ipynb")))
PAGES: Final = ROOT / "docs"

_TIMEOUT: Final = 120  # seconds of one cell, on a busy machine
_LASTED: Final = re.compile(r" in \d+\.\d+s\b")  # of pytest
_LINK: Final = re.compile(r"\]\((\w+)\.ipynb\)")  # from one example to another


def executed(notebook: Path, *, folder: Path, environment: Mapping[str, str] | None = None) -> NotebookNode:
    """The notebook with its outputs, run from top to bottom in `folder` by a kernel of this Python.

    Neither the kernels that are registered on this machine nor anybody's IPython profile has a part in it.
    `environment` is added to this process's own. Raises CellExecutionError for the first cell that fails.
    """
    found: NotebookNode = nbformat.read(notebook, as_version=4)  # type: ignore[no-untyped-call, unused-ignore]
    ours = {
        "IPYTHONDIR": str(folder / ".ipython"),
        "TQDM_DISABLE": "1",
        "NO_COLOR": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    kernels = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=KernelSpecManager(kernel_dirs=[]))
    client = NotebookClient(
        found,
        km=kernels,
        timeout=_TIMEOUT,
        store_widget_state=False,
        coalesce_streams=True,
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute(cleanup_kc=True, env={**os.environ, **ours, **(environment or {})})
    return found


def to_page(notebook: NotebookNode) -> str:
    """An executed notebook as a whole HTML document."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = _LINK.sub(r"](\1.html)", cell.source).replace("](../docs/", "](")
        for output in cell.get("outputs", ()):
            _prepare(output)
    exporter = HTMLExporter(  # type: ignore[no-untyped-call, unused-ignore]
        template_name="basic", exclude_input_prompt=True, exclude_output_prompt=True, exclude_anchor_links=True
    )
    body, _ = exporter.from_notebook_node(notebook)
    title = next(line for line in notebook.cells[0].source.splitlines() if line.startswith("# "))[2:]
    style = f"{HtmlFormatter(style='friendly').get_style_defs('.highlight')}\n{_STYLE}"
    return _PAGE.format(title=escape(title), style=style, body=body.strip())


def page_of(notebook: Path) -> Path:
    """Where the page of a notebook is."""
    return PAGES / f"{notebook.stem}.html"


def export(notebook: Path) -> Path:
    """Runs the notebook and writes its page."""
    with tempfile.TemporaryDirectory(prefix="eskit-export-") as name:
        page = to_page(executed(notebook, folder=Path(name)))
    page_of(notebook).write_text(page, encoding="utf-8")
    return page_of(notebook)


def _prepare(output: NotebookNode) -> None:
    if "text" in output:
        output["text"] = _LASTED.sub("", output["text"])
    data = output.get("data", {})
    # A widget needs a kernel: here it is what it shows where there is none.
    data.pop("application/vnd.jupyter.widget-view+json", None)
    if "image/svg+xml" in data:  # as a part of the page, so that its words can be found and read aloud
        data["text/html"] = data.pop("image/svg+xml")


_STYLE: Final = """\
:root { color-scheme: light }
* { box-sizing: border-box }
body { max-width: 67rem; margin: 2.5rem auto 5rem; padding: 0 1.2rem; background: #fff; color: #1d2329;
  font: 16px/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 1.2rem }
h2 { font-size: 1.3rem; margin: 2.8rem 0 .6rem }
p { margin: .7rem 0 }
a { color: #0062a3 }
code, pre { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace }
code { font-size: .9em; background: #f2f4f6; border-radius: 3px; padding: .1em .3em }
pre { margin: 0; font-size: 13px; line-height: 1.5 }
.text_cell_render { max-width: 46rem }
.highlight { margin: .8rem 0; padding: .6rem .9rem; overflow-x: auto; background: #f5f7f9;
  border-left: 3px solid #0072b2; border-radius: 0 4px 4px 0 }
.output { margin: .8rem 0 1.6rem }
.output_subarea { margin: .4rem 0; overflow-x: auto }
.output_text > pre { padding: .6rem .9rem; border: 1px solid #e6e8ea; border-radius: 4px; overflow-x: auto }
.output svg { display: block; max-width: 100%; height: auto }
table.dataframe { border-collapse: collapse; border: 0; font-size: 13px; line-height: 1.5 }
table.dataframe th, table.dataframe td { border: 0; border-bottom: 1px solid #d3d7db; padding: .25em .7em;
  text-align: left; font-variant-numeric: tabular-nums }
table.dataframe thead tr + tr td { color: #6b737b; font-size: 12px }
.output small { color: #6b737b }
@media print { body { max-width: none } .code_cell { break-inside: avoid } }
"""

_PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


if __name__ == "__main__":
    for each in NOTEBOOKS:
        sys.stderr.write(f"{export(each).relative_to(ROOT)}\n")
