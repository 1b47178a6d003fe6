"""The file that says what is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.systems.recommendation.policy import POLICY_FILE, PolicyError, read_policy


def test_the_file_in_use_gives_one_position_in_ten_to_chance() -> None:
    policy = read_policy()
    assert (policy.version, policy.per_channel, policy.relevance) == ("1", 2, 1.0)
    assert [policy.slots(k) for k in (5, 10, 19, 20)] == [0, 1, 1, 2]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("slots: 1", "slots: 11", "exploring: Value error, 11 slots of 10 positions"),
        ("fresh: 0.5", "fresh: 0.6", "weights above 0 that add up to 1"),
        ("    fresh: 0.5\n    untried: 0.5", "    fresh: 2\n    untried: -1", "weights above 0"),
        ("fresh: 0.5", "stale: 0.5", "exploring.pools.stale"),
        ("per_channel: 2", "per_channel: 0", "per_channel: Input should be greater than or equal to 1"),
        ("relevance: 1.0", "relevance: 1.1", "relevance: Input should be less than or equal to 1"),
        ('version: "1"', "", "version: Field required"),
    ],
)
def test_a_file_that_cannot_be_right_is_named_with_the_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY_FILE.read_text().replace(old, new))
    with pytest.raises(PolicyError, match=rf"policy\.yaml: .*{message}"):
        read_policy(file)
