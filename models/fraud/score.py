"""The fraud model from a folder of native weights: what serving loads."""

from __future__ import annotations

from lamina.scoring.trees import load

__all__ = ["load"]
