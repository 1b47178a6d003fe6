from __future__ import annotations

import numpy as np
import pytest

from lamina.training.retrieval.frequency import StreamingFrequency

ITEMS, BATCH = 200, 64


def zipf(shift: int = 0) -> np.ndarray:
    share = 1.0 / np.arange(1, ITEMS + 1)
    return np.roll(share / share.sum(), shift)


def stream(frequency: StreamingFrequency, share: np.ndarray, steps: int, seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        frequency.update(rng.choice(ITEMS, BATCH, p=share))


def estimated(frequency: StreamingFrequency) -> np.ndarray:
    return np.exp(frequency.log_count(np.arange(ITEMS))) / BATCH


def test_intervals_by_hand() -> None:
    """Item 0 at the steps 4, 9, 14: after 4, 5 and 5 steps. Item 1 four times in every step."""
    frequency = StreamingFrequency(3)
    for step in range(1, 15):
        frequency.update(np.array([1] * 4 + [0] * (step in (4, 9, 14))))
    assert np.exp(frequency.log_count(np.arange(3))) == pytest.approx([3 / 14, 4.0, 1 / 15])


def test_the_estimate_is_near_the_exact_shares() -> None:
    """Most drawn items are in every batch several times: the paper's estimate would say that all of these are alike."""
    share, frequency = zipf(), StreamingFrequency(ITEMS, rate=0.01)
    stream(frequency, share, 3000)
    off = np.log(estimated(frequency)) - np.log(share)
    assert np.abs(off[:20]).max() < 0.25
    assert np.sqrt((off**2).mean()) < 0.15
    assert abs(off.mean()) < 0.03
    assert share[0] * BATCH > 5


def test_it_follows_a_change() -> None:
    frequency = StreamingFrequency(ITEMS, rate=0.05)
    stream(frequency, zipf(), 500)
    after = zipf(ITEMS // 2)
    stream(frequency, after, 1500, seed=1)
    most = np.argsort(-after)[:10]
    assert np.abs(np.log(estimated(frequency)[most] / after[most])).max() < 0.4
    assert estimated(frequency)[0] < zipf()[0] / 5


def test_it_goes_on_from_what_was_kept() -> None:
    first, second = StreamingFrequency(ITEMS), StreamingFrequency(ITEMS)
    stream(first, zipf(), 50)
    second.restore(first.state())
    for each in (first, second):
        stream(each, zipf(), 50, seed=2)
    assert np.array_equal(estimated(first), estimated(second))
