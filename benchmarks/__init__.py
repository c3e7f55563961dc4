"""Measurements, not tests: no figure is asserted. `python -m benchmarks --help` says what there is."""
