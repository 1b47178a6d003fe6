"""What feedback makes of an answer, as data: what each event says, and which records cannot be right."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lamina.contracts.durations import Duration, days
from lamina.contracts.feedback_label import FeedbackLabel
from lamina.definitions import record
from lamina.errors import DefinitionError

BINARY = FeedbackLabel(order=("shop", "user"), within=days(1), grades={"purchase": 1, "skip": 0})
GRADED = replace(BINARY, grades={"purchase": 3, "cart": 2, "click": 1})
REWARD = FeedbackLabel(order=("shop",), within=days(1), reward=True)


def test_an_action_says_a_grade() -> None:
    assert [BINARY.says(action, None) for action in ("purchase", "skip", "share", None)] == [1.0, 0.0, None, None]
    assert GRADED.says("cart", 9.0) == 2.0


def test_a_reward_is_the_value_itself_of_the_actions_that_count() -> None:
    assert (REWARD.says("watch", 12.5), REWARD.says(None, 3.0), REWARD.says("watch", None)) == (12.5, 3.0, None)
    watched = replace(REWARD, grades={"watch": 1})
    assert (watched.says("watch", 12.5), watched.says("skip", 1.0)) == (12.5, None)


def test_its_kind_follows_from_its_grades() -> None:
    assert (BINARY.kind, GRADED.kind, REWARD.kind) == ("binary", "graded", "reward")


def test_a_source_that_is_not_listed_comes_behind_all() -> None:
    assert [BINARY.rank(source) for source in ("shop", "user", "hearsay")] == [0, 1, 2]


def test_feedback_may_claim_every_source_but_the_events_of_the_label() -> None:
    assert record("fraud").feedback_sources == ("chargeback", "analyst", "customer", "simulator")
    assert record("activity").feedback_sources == ("shop", "user")
    assert replace(record("fraud"), feedback=None).feedback_sources == ()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"order": ()}, "its order names each source once"),
        ({"order": ("chargeback", "analyst", "customer", "simulator", "analyst")}, "its order names each source once"),
        ({"order": ("chargeback", "customer", "simulator")}, r"leaves open where \['analyst'\] stand"),
        ({"within": Duration(0, "0s")}, "within 0s nothing can be said"),
        ({"grades": {}}, "give grades, or say reward"),
        ({"grades": {"fraud": 2}}, "label 'is_fraud' is true or false: give grades of 1 and 0"),
        ({"reward": True}, "label 'is_fraud' is true or false: give grades of 1 and 0"),
    ],
)
def test_what_cannot_be_right_is_refused(changes: dict[str, Any], sentence: str) -> None:
    fraud = record("fraud")
    assert fraud.feedback is not None
    with pytest.raises(DefinitionError, match=f"system 'fraud': feedback: .*{sentence}"):
        replace(fraud, feedback=replace(fraud.feedback, **changes))


def test_feedback_is_of_answers_that_are_logged() -> None:
    fraud = record("fraud")
    unserved = replace(fraud.features, model_features=())
    with pytest.raises(DefinitionError, match="describe topic 'predictions-fraud' by served"):
        replace(fraud, features=unserved, served=None)
