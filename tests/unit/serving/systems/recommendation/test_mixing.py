"""Candidates of several sources: shares, duplicates, and who fills what is left."""

from __future__ import annotations

from collections import Counter

from serving.systems.recommendation.mixing import COLD_SHARES, SHARES, mixed


def ids(name: str, n: int) -> list[str]:
    return [f"{name}{i:04d}" for i in range(n)]


def test_each_source_has_its_share_of_a_thousand() -> None:
    found = mixed({name: ids(name, 1500) for name in SHARES})
    assert Counter(each.sources for each in found) == {
        ("collaborative",): 500,
        ("follow",): 200,
        ("trending",): 150,
        ("similar",): 150,
    }


def test_the_first_ones_are_in_the_same_shares() -> None:
    first = mixed({name: ids(name, 1500) for name in SHARES})[:20]
    assert Counter(each.sources[0] for each in first) == {"collaborative": 10, "follow": 4, "trending": 3, "similar": 3}
    assert first[0].id == "collaborative0000"
    own = [each.id for each in first if each.sources == ("follow",)]
    assert own == ids("follow", 4)


def test_a_video_that_several_found_is_there_once_and_costs_the_first_of_them_a_place() -> None:
    found = mixed(
        {"collaborative": ids("v", 5), "follow": [], "trending": [*ids("v", 5), *ids("t", 600)], "similar": []},
        most=10,
    )
    assert len({each.id for each in found}) == len(found) == 10
    assert {each.id: each.sources for each in found if each.id.startswith("v")} == dict.fromkeys(
        ids("v", 5), ("collaborative", "trending")
    )
    assert [each.id for each in found if each.id.startswith("t")] == ids("t", 5)


def test_what_a_source_cannot_fill_goes_to_the_next_with_more() -> None:
    found = mixed({"collaborative": ids("c", 3), "follow": ids("f", 4), "trending": ids("t", 90)}, most=20)
    assert Counter(each.sources[0] for each in found) == {"collaborative": 3, "follow": 4, "trending": 13}


def test_there_are_never_more_than_are_wanted_and_sources_without_a_share_are_left_out() -> None:
    everything = {name: ids(name, 40) for name in (*SHARES, "else")}
    assert len(mixed(everything, most=7)) == 7
    assert not [each for each in mixed(everything) if "else" in each.sources]
    assert mixed({}) == []


def test_who_has_watched_nothing_gets_what_they_said_to_like_beside_what_everybody_watches() -> None:
    found = mixed({name: ids(name, 40) for name in COLD_SHARES}, COLD_SHARES, most=10)
    assert Counter(each.sources[0] for each in found) == {"interests": 5, "follow": 2, "trending": 3}


def test_shares_are_of_the_whole() -> None:
    assert sum(SHARES.values()) == 1 and sum(COLD_SHARES.values()) == 1
