"""Measurements, not tests: nothing here is asserted, and no test imports it."""
