"""What of ranked videos is shown: each rule, variety, and positions for chance."""

from __future__ import annotations

from collections import Counter, defaultdict
from math import sqrt

import numpy as np
import pytest

from serving.systems.recommendation.choosing import Choice, Chosen, Scored, choose
from serving.systems.recommendation.policy import Exploring, Policy
from serving.systems.recommendation.shelf import Shelf
from tests.unit.serving.systems.recommendation.videos import shelf, video


def policy(slots: int = 0, of: int = 4, relevance: float = 1.0) -> Policy:
    exploring = Exploring(slots=slots, of=of, pools={"fresh": 0.75, "untried": 0.25})
    return Policy(version="1", per_channel=2, relevance=relevance, exploring=exploring)


def ranked(ids: str, for_chance: str = "") -> list[Scored]:
    of = [Scored(id_, 1.0 - n / 100, True) for n, id_ in enumerate(ids)]
    return of + [Scored(id_, 0.0, False) for id_ in for_chance]


def chosen(
    on: Shelf, of: list[Scored], k: int, by: Policy, watched: str = "", seed: int = 0, may_vary: bool = True
) -> Chosen:
    rng = np.random.default_rng(seed)
    there = {each.id for each in of}
    return choose(iter(of), k, there=there, shelf=on, watched=watched, policy=by, rng=rng, may_vary=lambda: may_vary)


def ids(found: Chosen) -> str:
    return "".join(each.id for each in found.shown)


def test_the_best_are_shown_that_no_rule_removes_and_each_rule_says_what_it_did() -> None:
    on = shelf(*(video(id_, "x") for id_ in "aceg"), video("b", is_sensitive=True), *(video(id_) for id_ in "dfhi"))
    found = chosen(on, ranked("abcdezfghi"), 5, policy(), watched="d")
    assert ids(found) == "acfhi"
    assert found.removed == {"sensitive": ["b"], "watched": ["d"], "channel": ["e", "g"], "gone": ["z"]}
    assert found.shown[0] == Choice("a", None, None)


def test_what_lies_below_the_list_was_removed_by_nobody() -> None:
    on = shelf(*(video(id_) for id_ in "ab"), video("c", is_sensitive=True))
    found = chosen(on, ranked("abc"), 2, policy())
    assert (ids(found), dict(found.removed)) == ("ab", {})
    assert ids(chosen(on, ranked("abc"), 9, policy())) == "ab"


@pytest.mark.parametrize(
    ("relevance", "may_vary", "expected"), [(1.0, True, "ab"), (0.3, True, "ac"), (0.3, False, "ab")]
)
def test_variety_takes_another_category_and_is_left_out_without_time(
    relevance: float, may_vary: bool, expected: str
) -> None:
    on = shelf(video("a"), video("b"), video("c", category="news"))
    assert ids(chosen(on, ranked("abc"), 2, policy(relevance=relevance), may_vary=may_vary)) == expected


def test_without_time_for_variety_the_ranking_is_followed_from_its_top_and_no_further_than_needed() -> None:
    on = shelf(
        *(video(id_, "x") for id_ in "abcdefghijk"), video("s", is_sensitive=True), *(video(id_) for id_ in "yz")
    )
    ranking = iter(ranked("abcsdefghijkyz"))
    found = choose(
        ranking,
        2,
        there="",
        shelf=on,
        watched="a",
        policy=policy(relevance=0.3),
        rng=np.random.default_rng(0),
        may_vary=lambda: False,
    )
    assert (ids(found), found.removed) == ("bc", {"watched": ["a"]})
    assert next(ranking).id == "y"


def test_variety_keeps_the_rules() -> None:
    on = shelf(*(video(id_, "x") for id_ in "abc"), video("d", is_sensitive=True), *(video(id_) for id_ in "efg"))
    found = chosen(on, ranked("abcdefg"), 4, policy(relevance=0.9), watched="e")
    assert sorted(ids(found)) == ["a", "b", "f", "g"]
    assert found.removed == {"sensitive": ["d"], "watched": ["e"], "channel": ["c"]}


def test_the_last_positions_are_drawn_from_pools_by_the_same_rules() -> None:
    videos = [*(video(id_, "x") for id_ in "abp"), *(video(id_) for id_ in "cdqw"), video("s", is_sensitive=True)]
    on = shelf(*videos, fresh=["p", "q", "w", "s", "away", "a"])
    for seed in range(20):
        found = chosen(on, ranked("abcd", "pqws"), 4, policy(slots=1), watched="w", seed=seed)
        assert found.shown == [Choice("a"), Choice("b"), Choice("c"), Choice("q", "fresh", 1.0)]


def test_what_is_there_for_chance_is_shown_by_chance_alone() -> None:
    on = shelf(*(video(id_) for id_ in "abp"), fresh=["p"])
    best_first = [Scored("p", 9.0, False), *ranked("ab")]
    assert ids(chosen(on, best_first, 2, policy(slots=0))) == "ab"
    assert ids(chosen(on, best_first, 4, policy(slots=1))) == "abp"


def test_what_chance_leaves_empty_goes_to_the_next() -> None:
    on = shelf(*(video(id_) for id_ in "abcd"))
    assert chosen(on, ranked("abcd"), 4, policy(slots=2)).shown == [Choice(id_) for id_ in "abcd"]


def test_in_a_slot_each_is_as_often_as_its_propensity_says_given_those_above() -> None:
    """Pools overlap, one of them runs dry, and the limit of a channel binds in the second slot."""
    on = shelf(
        *(video(id_, "x") for id_ in "apq"), *(video(id_) for id_ in "brs"), fresh=["p", "q", "r"], untried=["r", "s"]
    )
    counts: defaultdict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    said: dict[tuple[str, ...], float] = {}
    rng = np.random.default_rng(11)
    for _ in range(8000):
        found = choose(ranked("ab", "pqrs"), 4, there="abpqrs", shelf=on, watched="", policy=policy(slots=2), rng=rng)
        assert [each.propensity for each in found.shown[:2]] == [None, None]
        above: tuple[str, ...] = ()
        for each in found.shown[2:]:
            assert each.propensity is not None
            counts[above][each.id] += 1
            above = (*above, each.id)
            assert said.setdefault(above, each.propensity) == each.propensity
    assert said["p",] == 0.25 and said["r",] == 0.375 and ("p", "q") not in said
    for above, of in counts.items():
        n = sum(of.values())
        assert sum(said[*above, id_] for id_ in of) == pytest.approx(1)
        for id_, times in of.items():
            chance = said[*above, id_]
            assert abs(times / n - chance) <= 4 * sqrt(chance * (1 - chance) / n), (above, id_)
