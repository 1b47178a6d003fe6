"""The sketch is exact up to its cap and keeps its promised error above it."""

from __future__ import annotations

import random
import statistics
from math import sqrt

import pytest

from lamina.semantics.sketch import different, estimate, hash_of, kept


def number(text: str) -> int:
    return int(hash_of(text), 16)


@pytest.mark.parametrize("n", [0, 1, 9, 10])
def test_it_is_exact_up_to_the_cap(n: int) -> None:
    assert different({number(str(i)) for i in range(n)}, 10) == n


@pytest.mark.parametrize(("cap", "n"), [(32, 33), (32, 2_000), (128, 1_000), (256, 5_000)])
def test_above_it_the_error_is_the_one_stated(cap: int, n: int) -> None:
    """Over many seeds: no bias beyond four standard errors of the mean, a deviation within a third of the theory's."""
    seeds = 300
    errors = []
    for seed in range(seeds):
        found = different({number(f"{seed}:{i}") for i in range(n)}, cap)
        errors.append(found / n - 1)
    stated = 1 / sqrt(cap - 2)
    assert abs(statistics.fmean(errors)) < 4 * stated / sqrt(seeds)
    assert statistics.pstdev(errors) < 1.33 * stated
    assert max(map(abs, errors)) < 6 * stated


def test_the_union_of_what_is_kept_answers_as_the_union_of_all() -> None:
    rng = random.Random(3)
    for cap in (3, 8, 50):
        for _ in range(50):
            whole = [{number(str(rng.randrange(80))) for _ in range(rng.randrange(120))} for _ in range(3)]
            parts = [sorted(hashes)[: kept(cap)] for hashes in whole]
            assert different(set().union(*parts), cap) == different(set().union(*whole), cap)


def test_the_cap_smallest_hashes_say_how_many_there_are() -> None:
    """A quarter of the way to the largest possible hash lie four of five values: there are about sixteen."""
    assert estimate(2**62, 5) == 16.0
    assert different({2**61, 2**62, 2**63, 2**64 - 1}, 3) == 4.0
    assert [kept(cap) for cap in (3, 8)] == [4, 9]
