"""Answers as tables: for data frames, spreadsheets, notebooks and plots.

What a subclass of `Tabular` brings is columns and rows; what it gets is every way in which people take a table. No
library is loaded before somebody asks for what needs it.
"""

from __future__ import annotations

from eventsourcing_kit.frames.columns import Column, Kind
from eventsourcing_kit.frames.events import Events
from eventsourcing_kit.frames.tabular import Tabular

__all__ = ["Column", "Events", "Kind", "Tabular"]
