"""When a feature's value equals the expected one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lamina.semantics.reference import equal_numbers


def same(expected: Any, found: Any) -> bool:
    """Whether two values are equal; numbers, and those in lists, to nine digits, whole ones to the last."""
    if isinstance(expected, float):
        return isinstance(found, float) and equal_numbers(found, expected)
    if isinstance(expected, list):
        return len(expected) == len(found) and all(map(same, expected, found))
    return bool(expected == found)


def differences(expected: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Features that are not equal: expected and found."""
    return {n: (value, found[n]) for n, value in expected.items() if not same(value, found[n])}
