"""Counting different values: exactly up to a cap, above it from the smallest hashes alone (a KMV sketch).

A value is known by the first 16 hexadecimal digits of the MD5 of its text, which every engine has. Of a set with more
than `cap` values the `cap` smallest hashes are uniform order statistics: with `u` the largest of them as a share of all
hashes, `(cap - 1) / u` has no bias and a relative standard error of about `1 / sqrt(cap - 2)` (Bar-Yossef et al. 2002;
Giroire 2009). A set keeps the `cap + 1` smallest, one more, so that it can tell `cap` values from more; then the union
of two kept sets answers as the union of the whole ones would.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from heapq import nsmallest

HASH_DIGITS = 16
HASHES = 16.0**HASH_DIGITS


def hash_of(text: str) -> str:
    """The hash that stands for a value, as text; equal lengths, so texts compare as numbers do.

    >>> hash_of("m1")
    'ae7be26cdaa742ca'
    """
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:HASH_DIGITS]


def kept(cap: int) -> int:
    """How many hashes a set holds that answers up to `cap` exactly."""
    return cap + 1


def different(hashes: Collection[int], cap: int) -> float:
    """How many different values stand behind `hashes`, as numbers, at least the `kept(cap)` smallest, each once."""
    if len(hashes) <= cap:
        return float(len(hashes))
    return estimate(nsmallest(cap, hashes)[-1], cap)


def estimate(largest: int, cap: int) -> float:
    """The number of values of which `largest` is the `cap`-th smallest hash."""
    return (cap - 1) / (largest / HASHES)
