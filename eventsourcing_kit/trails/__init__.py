"""Trails: the events that share a correlation id, across streams, in causal order; and what usually comes next."""

from __future__ import annotations

from eventsourcing_kit.trails.following import Trail, Wait, trail
from eventsourcing_kit.trails.similar import SimilarTrails, Usual, similar_trails
from eventsourcing_kit.trails.tree import Node

__all__ = ["Node", "SimilarTrails", "Trail", "Usual", "Wait", "similar_trails", "trail"]
