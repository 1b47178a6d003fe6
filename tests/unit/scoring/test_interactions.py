from __future__ import annotations

import numpy as np
import pytest

from lamina.scoring.interactions import Interactions, InteractionsError

DAY_S = 86_400.0


def test_ids_are_texts_in_the_order_of_texts() -> None:
    seen = Interactions.of([10, 9, 9], [2, 100, 2])
    assert (seen.users.tolist(), seen.items.tolist()) == (["10", "9"], ["100", "2"])
    assert seen.matrix().toarray().tolist() == [[0, 1], [1, 1]]


def test_a_pair_that_is_there_twice_is_summed_and_seen_once() -> None:
    seen = Interactions.of(["u", "u", "v"], ["a", "a", "b"], [2.0, 3.0, 1.0])
    assert seen.matrix().toarray().tolist() == [[5, 0], [0, 1]]
    assert seen.seen().toarray().tolist() == [[1, 0], [0, 1]]


def test_onto_other_items_those_that_are_not_known_are_gone() -> None:
    seen = Interactions.of(["u", "u", "v"], ["a", "c", "d"], time_s=[1, 2, 3])
    items = np.array(["0", "c", "d", "e"], dtype=object)
    found = seen.onto(items)
    assert found.matrix().toarray().tolist() == [[0, 1, 0, 0], [0, 0, 1, 0]]
    assert found.time_s is not None and found.time_s.tolist() == [2, 3]
    assert seen.onto(np.empty(0, object)).matrix().shape == (2, 0)
    assert seen.onto(seen.items.copy()) is seen


def test_weights_fade_from_the_users_own_last_time() -> None:
    seen = Interactions.of(["u", "u", "v"], ["a", "b", "a"], [4.0, 4.0, 3.0], [0, 2 * DAY_S, 900 * DAY_S])
    assert seen.fading(DAY_S).tolist() == [1.0, 4.0, 3.0]


@pytest.mark.parametrize(
    ("weight", "time_s", "what"),
    [
        ([1.0], None, "columns of"),
        ([1.0, 0.0], None, "above zero"),
        ([1.0, np.nan], None, "above zero"),
        (None, [1.0, np.inf], "time is not finite"),
    ],
)
def test_what_is_refused(weight: list[float] | None, time_s: list[float] | None, what: str) -> None:
    with pytest.raises(InteractionsError, match=what):
        Interactions.of(["u", "v"], ["a", "b"], weight, time_s)


def test_without_times_nothing_fades() -> None:
    with pytest.raises(InteractionsError, match="no times are known"):
        Interactions.of(["u"], ["a"]).fading(DAY_S)


def test_none_at_all() -> None:
    none = Interactions.of([], [])
    assert (len(none), none.matrix().shape) == (0, (0, 0))
