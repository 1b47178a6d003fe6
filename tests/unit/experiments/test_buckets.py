from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest

from lamina.experiments.buckets import BUCKETS, bucket_of

# Recorded once: a change of any of them would move users of running experiments.
RECORDED = {("2025-06", "user-00000153"): 9737, ("1", "user-17"): 8208, ("ü", "key"): 3856}


@pytest.mark.parametrize(("salt", "key"), RECORDED)
def test_buckets_stay(salt: str, key: str) -> None:
    assert bucket_of(salt, key) == RECORDED[salt, key]


@pytest.mark.parametrize("seed", ["0", "1"])
def test_another_process_says_the_same(seed: str) -> None:
    code = "from lamina.experiments.buckets import bucket_of; print(bucket_of('2025-06', 'user-00000153'))"
    found = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
    )
    assert int(found.stdout) == RECORDED["2025-06", "user-00000153"]


def test_salt_and_key_are_apart_and_buckets_even() -> None:
    assert bucket_of("a", "bc") != bucket_of("ab", "c")
    users = [f"user-{i}" for i in range(20_000)]
    counts = Counter(bucket_of("s", user) // (BUCKETS // 10) for user in users)
    # Ten equal shares of 20,000: 5 standard deviations are 212.
    assert set(counts) == set(range(10)) and all(abs(n - 2000) < 212 for n in counts.values())
    moved = sum(bucket_of("s", user) != bucket_of("t", user) for user in users)
    assert moved > 0.99 * len(users)
