"""Projections: `eskit` finds those in every module here by itself."""
