"""Text that comes from events, made such that whoever shows it shows it, and does not obey it."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["inert_json", "visible"]


def visible(text: str) -> str:
    """The text with each control character, line break, bidi mark, invisible or unpaired character as its escape.

    So two texts that differ also look different, and none of them can move the cursor or change colours.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def inert_json(text: str) -> str:
    """The same JSON, with what a terminal would obey or hide rather than show (C1 controls, bidi marks, characters
    without width) as `\\u` escapes; but for the joiners, which words and emoji are made with.

    Valid JSON holds such characters only inside its strings, where an escape means the same.
    """
    return _OBEYED.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


# C1 controls, soft hyphen, Arabic letter mark, Mongolian vowel separator, zero width space, left-to-right and
# right-to-left marks, line and paragraph separators, embeddings, invisible operators, isolates, byte order mark,
# interlinear marks. The C0 controls are escaped in any JSON; DEL is not.
_OBEYED: Final = re.compile(
    "[\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2064\u2066-\u2069\ufeff\ufff9-\ufffb]"
)
