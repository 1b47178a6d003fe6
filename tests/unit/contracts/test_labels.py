"""Labels of a system as data: what each kind says of itself, and which cannot be right."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lamina.contracts.aggregates import Predicate
from lamina.contracts.features import Duration, RequestFeature, days, hours
from lamina.contracts.labels import FollowedLabel, LabelDefinition, ReportedLabel
from lamina.contracts.revisions import Revisions
from lamina.contracts.systems import System
from lamina.definitions import activity, fraud, record
from lamina.errors import DefinitionError

REPORTED = ReportedLabel(source=fraud.FRAUD_LABELS, column="is_fraud", delay=days(7), beside=("scenario",))
FOLLOWED = FollowedLabel(
    source=activity.USER_EVENTS,
    column="bought",
    keys=("user_id", "item_id"),
    within=hours(36),
    where=Predicate("event_type", "=", "purchase"),
    rows=Predicate("event_type", "=", "page_view"),
)
OF_FRAUD = record("fraud")
OF_ACTIVITY = System(features=replace(activity.FEATURES, model_features=()), topics=activity.SYSTEM.topics)


def system_with(label: LabelDefinition | None) -> System:
    own = OF_FRAUD if isinstance(label, ReportedLabel) else OF_ACTIVITY
    return replace(own, label=label)


def test_what_is_said_of_frauds_is_complete_after_a_week() -> None:
    assert OF_FRAUD.learnt_label == REPORTED
    assert (REPORTED.known, REPORTED.delay) == ("timestamp", days(7))


def test_without_revisions_a_label_is_known_at_its_own_time() -> None:
    plain = replace(REPORTED, source=replace(fraud.FRAUD_LABELS, revisions=None))
    assert plain.known == "transaction_timestamp"


def test_what_follows_is_complete_when_its_window_is_over() -> None:
    found = system_with(FOLLOWED).learnt_label
    assert (found.delay, found.beside) == (hours(36), ())


def test_the_topic_of_its_label_is_one_of_the_system() -> None:
    without = replace(OF_FRAUD.features, views=(), ratios=(), elapsed=(), model_features=())
    assert replace(OF_FRAUD, features=without).feature_topics == ("fraud-labels", "transactions")
    assert system_with(FOLLOWED).feature_topics == ("user-events",)


def test_a_system_without_a_label_has_none_to_train_on() -> None:
    with pytest.raises(DefinitionError, match="system 'activity' has no label to train on"):
        assert OF_ACTIVITY.learnt_label
    with pytest.raises(DefinitionError, match="model_features need a label to learn from"):
        replace(OF_FRAUD, label=None)


ODD = Predicate("colour", "=", "red")


@pytest.mark.parametrize(
    ("label", "changes", "sentence"),
    [
        (REPORTED, {"column": "is_fruad"}, "'is_fruad' is no column of source 'fraud_labels'"),
        (REPORTED, {"column": "source"}, "'source' is a string of source 'fraud_labels': name one that is true"),
        (REPORTED, {"beside": ("how",)}, r"topic 'fraud-labels' has no \['how'\] to keep beside it"),
        (REPORTED, {"beside": ("user_id",)}, r"\['user_id'\] are columns of the request, too"),
        (REPORTED, {"beside": ("txn_count_1h",)}, r"\['txn_count_1h'\] are features, too"),
        (REPORTED, {"rows": ODD}, "unknown column 'colour'"),
        (FOLLOWED, {"rows": ODD}, "unknown column 'colour'"),
        (FOLLOWED, {"where": ODD}, "unknown column 'colour'"),
        (FOLLOWED, {"keys": ()}, "name the columns that both have by keys"),
        (FOLLOWED, {"keys": ("user_id", "card")}, r"source 'user_events' does not always have \['card'\]"),
        (FOLLOWED, {"keys": ("purchase_id",)}, r"does not always have \['purchase_id'\]"),
        (FOLLOWED, {"within": Duration(0, "0s")}, "within 0s nothing can follow"),
        (FOLLOWED, {"column": "event_type"}, r"\['event_type'\] are columns of the request"),
        (FOLLOWED, {"column": "item_users_1h"}, r"\['item_users_1h'\] are features, too"),
        (FOLLOWED, {"column": "label_timestamp;"}, "column 'label_timestamp;': a name has letters"),
    ],
)
def test_a_label_that_cannot_be_right_is_refused(
    label: LabelDefinition, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(DefinitionError, match=sentence):
        system_with(replace(label, **changes))


def test_revisions_are_of_the_labels_own_columns() -> None:
    told = Revisions(known="heard", by="source", order=("bank",), verdict="is_fraud")
    with pytest.raises(DefinitionError, match=r"its revisions name unknown columns \['heard'\]"):
        system_with(replace(REPORTED, source=replace(fraud.FRAUD_LABELS, revisions=told)))


def test_the_time_of_a_label_is_no_feature() -> None:
    named = RequestFeature("label_timestamp", "field", "timestamp")
    features = replace(OF_ACTIVITY.features, request_features=(named,))
    with pytest.raises(DefinitionError, match=r"\['label_timestamp'\] are features, too"):
        replace(OF_ACTIVITY, features=features, label=FOLLOWED)
