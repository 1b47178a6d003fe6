"""How a row of features that an engine made differs from the slow reference."""

from __future__ import annotations

import math
from typing import Any


def differences(expected: dict[str, Any], found: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Features that are not equal: expected and found."""
    wrong = {}
    for name, value in expected.items():
        same = (
            found[name] is not None and math.isclose(found[name], value, rel_tol=1e-9, abs_tol=1e-9)
            if isinstance(value, float)
            else found[name] == value
        )
        if not same:
            wrong[name] = (value, found[name])
    return wrong
