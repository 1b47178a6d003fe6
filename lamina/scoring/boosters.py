"""LightGBM and XGBoost for serving: without scikit-learn, which both import only where it can be had.

Their classes in its manner, which nothing of ours uses, need it; half of the processor time in which the API starts
went to importing it. A process that has it already, as training has, is left as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def _without(module: str) -> Iterator[None]:
    """Let imports of `module` fail as if it were not installed; afterwards they work again."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[module]


with _without("sklearn"):
    import lightgbm
    import xgboost

__all__ = ["lightgbm", "xgboost"]
