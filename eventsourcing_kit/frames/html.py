"""HTML for notebooks: whole by itself, with no script and no address, and nothing in it that a page would obey.

A notebook's output is put into a page of somebody else: of Jupyter, of a report, of a site with templates. So text is
escaped for HTML, its braces, too, or a template engine would take `{{ }}` for its own; what can not be seen is shown as
an escape; the outermost element tells MathJax, Vue and Angular to leave it alone.

Each function answers HTML and takes plain text, but `block` and `grid`, which put HTML together.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any, Final

from eventsourcing_kit.frames.columns import compact_json
from eventsourcing_kit.inert import inert_json, visible
from eventsourcing_kit.moment import to_canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from eventsourcing_kit.frames.columns import Column, Kind

__all__ = [
    "PALETTE",
    "answer",
    "block",
    "change",
    "code",
    "facts",
    "grid",
    "items",
    "line",
    "moment",
    "palette",
    "strip",
    "table",
    "text",
]

# Okabe and Ito's colours, which nearly everybody can tell apart, those that show on white and on black alike.
PALETTE: Final = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8b7d00")
OTHERS: Final = "#888888"

_LONGEST: Final = 200  # characters of a cell
_LONGEST_CODE: Final = 20_000

_STYLE: Final = (
    ".eskit{font-size:13px;overflow-x:auto}"
    ".eskit p{margin:0 0 .4em}"
    ".eskit ul{margin:0 0 .4em;padding-left:1.6em}"
    ".eskit td li{white-space:normal}"
    ".eskit table{border-collapse:collapse;margin:0 0 .4em}"
    ".eskit th,.eskit td{border:0;border-bottom:1px solid rgba(128,128,128,.35);padding:.25em .7em;"
    "vertical-align:top;white-space:nowrap}"
    ".eskit th{font-weight:600}"
    # Named three times, as Jupyter's own rule for tables, which would have all text at the right, names two classes.
    ".eskit.eskit.eskit th,.eskit.eskit.eskit td{text-align:left}"
    ".eskit.eskit.eskit .eskit-number{text-align:right;font-variant-numeric:tabular-nums}"
    ".eskit td.eskit-wide{font-family:monospace;font-size:.9em;white-space:normal;overflow-wrap:anywhere;"
    "min-width:34em}"
    ".eskit .eskit-null{opacity:.5}"
    ".eskit .eskit-change{font-family:monospace;font-size:.9em;white-space:normal;overflow-wrap:anywhere;"
    "min-width:16em}"
    ".eskit del{opacity:.65}"
    ".eskit ins{text-decoration:none;background:rgba(230,159,0,.25);border-radius:2px;padding:0 2px}"
    ".eskit .eskit-mark:not(:first-child){margin-left:1em}"
    ".eskit pre{margin:0 0 .4em;max-height:30em;overflow:auto;background:none;color:inherit}"
    ".eskit svg{display:block;max-width:100%;margin:0 0 .6em}"
)


def text(value: str) -> str:
    """Plain text as HTML, wherever in a document it stands, in an attribute, too."""
    escaped = html.escape(visible(value), quote=True)
    return escaped.replace("{", "&#123;").replace("}", "&#125;").replace("`", "&#96;")


def block(*parts: str) -> str:
    """Parts, which are HTML, as one whole."""
    return (
        '<div class="eskit mathjax_ignore tex2jax_ignore" v-pre ng-non-bindable>'
        f"<style>{_STYLE}</style>{''.join(parts)}</div>"
    )


def line(words: str) -> str:
    """A line of text; nothing where there is none."""
    return f"<p>{text(words)}</p>" if words else ""


def code(source: str) -> str:
    """Lines of text as they stand, such as JSON; the end of very long ones is left out, and that is said."""
    lines = map(text, _shortened(source, _LONGEST_CODE).split("\n"))
    return "<pre>" + "\n".join(lines) + "</pre>"


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Names and their values, one below the other."""
    rows = "".join(f"<tr><th>{text(name)}</th><td>{text(_shortened(value))}</td></tr>" for name, value in pairs)
    return f"<table><tbody>{rows}</tbody></table>" if rows else ""


def items(names: Sequence[str]) -> str:
    """A list; nothing where it is empty."""
    return f"<ul>{''.join(f'<li>{text(_shortened(name))}</li>' for name in names)}</ul>" if names else ""


def table(columns: Sequence[Column], rows: Sequence[Sequence[Any]]) -> str:
    """A table of typed columns. Those in which no row has anything are left out, and named below it."""
    filled = [place for place in range(len(columns)) if not rows or any(row[place] is not None for row in rows)]
    head = "".join(f"<th{_class(columns[place].kind)}>{text(columns[place].name)}</th>" for place in filled)
    body = "".join(f"<tr>{''.join(_cell(columns[place].kind, row[place]) for place in filled)}</tr>" for row in rows)
    empty = [column.name for place, column in enumerate(columns) if place not in filled]
    below = line(f"Nothing in: {', '.join(empty)}") if empty else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{below}"


def change(path: str, old: str | None, new: str | None, source: str | None = None) -> str:
    """A place, and the JSON that stood there before and after, None for none; `source` is where a moved one was."""
    shown = [text(_shortened(path or "the whole state")), "" if source is None else f"from {text(_shortened(source))}"]
    shown.append("" if old is None else f"<del>{text(_shortened(inert_json(old)))}</del>")
    shown.append("" if old is None or new is None else "&#8594;")
    shown.append("" if new is None else f"<ins>{text(_shortened(inert_json(new)))}</ins>")
    return f'<div class="eskit-change">{" ".join(filter(None, shown))}</div>'


def grid(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already, below plain names."""
    head = "".join(f"<th>{text(name)}</th>" for name in names)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def moment(ns: int) -> str:
    """A moment, as plain text, as short as it is exact."""
    stem, _, fraction = to_canonical(ns)[:-1].partition(".")
    fraction = fraction.rstrip("0")
    return f"{stem.replace('T', ' ')}{'.' if fraction else ''}{fraction}Z"


def strip(moments: Sequence[int | None], names: Sequence[str | None] = ()) -> str:
    """A line of time with a tick for each moment (in nanoseconds) in the colour of its name; nothing for less than two.

    Without JavaScript: what a tick is stands in its tooltip, the first and the last moment below.
    """
    known = [ns for ns in moments if ns is not None]
    if len(known) < 2:
        return ""
    first, last = min(known), max(known)
    labels = [name or "" for name in names] or [""] * len(moments)
    colours = palette(labels)
    span = (last - first) or 1
    ticks = "".join(
        f'<rect x="{4 + 632 * (ns - first) / span:.1f}" y="4" width="3" height="22" fill="{colours[name]}" '
        f'fill-opacity="0.85"><title>{text(f"{_second(ns)} {name}".strip())}</title></rect>'
        for ns, name in zip(moments, labels, strict=True)
        if ns is not None
    )
    about = f"{len(known):,} moments from {_second(first)} to {_second(last)}"
    return (
        f'<svg viewBox="0 0 643 44" width="643" height="44" role="img" aria-label="{text(about)}">'
        '<line x1="4" y1="28" x2="639" y2="28" stroke="currentColor" stroke-opacity="0.5"></line>'
        f'{ticks}<text x="4" y="41" font-size="11" fill="currentColor">{text(_second(first))}</text>'
        f'<text x="639" y="41" font-size="11" fill="currentColor" text-anchor="end">{text(_second(last))}</text></svg>'
        f"{_legend(colours)}"
    )


def answer(columns: Sequence[Column], rows: Sequence[Sequence[Any]], *, caption: str = "", more: str = "") -> str:
    """What a notebook shows of a table: caption, strip of time by the first column of moments, rows, and `more`."""
    places = {column.kind: place for place, column in reversed(list(enumerate(columns)))}
    named = [place for place, column in enumerate(columns) if column.name == "type"]
    when = ""
    if "moment" in places:
        names = [row[named[0]] for row in rows] if named else ()
        when = strip([row[places["moment"]] for row in rows], names)
    return block(line(caption), when, table(columns, rows), line(more if rows else "No rows"))


def _cell(kind: Kind, value: Any) -> str:
    if value is None:
        return '<td class="eskit-null">null</td>'
    if kind == "moment":
        shown = moment(value)
    elif isinstance(value, str):
        shown = inert_json(value) if kind == "json" else value
    else:
        shown = compact_json(value)
    return f"<td{_class(kind)}>{text(_shortened(shown))}</td>"


def _class(kind: Kind) -> str:
    if kind in ("int", "float"):
        return ' class="eskit-number"'
    return ' class="eskit-wide"' if kind == "json" else ""


def _legend(colours: dict[str, str]) -> str:
    if len(colours) == 1 and "" in colours:
        return ""
    named = {name: colour for name, colour in colours.items() if colour != OTHERS}
    if len(named) < len(colours):
        named["others"] = OTHERS
    swatches = (
        f'<span class="eskit-mark" style="color:{colour}">&#9646;</span> {text(_shortened(name, 40))} '
        for name, colour in named.items()
    )
    return f"<p>{''.join(swatches)}</p>"


def palette(names: Iterable[str]) -> dict[str, str]:
    """A colour for each name, in the order of the names, so that one table always has the same ones."""
    ordered = sorted({*names})
    return {name: PALETTE[number] if number < len(PALETTE) else OTHERS for number, name in enumerate(ordered)}


def _second(ns: int) -> str:
    return to_canonical(ns)[:19].replace("T", " ") + "Z"


def _shortened(value: str, longest: int = _LONGEST) -> str:
    left = len(value) - longest
    return value if left <= 0 else f"{value[:longest]}… ({left:,} characters more)"
