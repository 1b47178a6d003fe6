"""Rankers: one network that says several things of a candidate, its heads, and a score that weighs them."""
