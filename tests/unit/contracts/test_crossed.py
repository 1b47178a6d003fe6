"""Features that cross others with a column of the request: what a definition may say, and what it is told if not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lamina.contracts.aggregates import count, last, last_k, last_time, mean, total
from lamina.contracts.features import (
    Chosen,
    Elapsed,
    FeatureSet,
    FeatureView,
    Membership,
    Ratio,
    RequestFeature,
    days,
    minutes,
)
from lamina.definitions.fraud import MERCHANT, TRANSACTIONS, USER
from lamina.errors import DefinitionError
from lamina.rollout.generation import read_features, write_features

VIEW = FeatureView(
    name="v",
    entity=USER,
    source=TRANSACTIONS,
    owner="test",
    aggregates=(
        count("french"),
        count("belgian"),
        mean("amount", "m"),
        last("merchant_category", "kind"),
        last_k("merchant_id", "shops", k=3),
        last_k("amount", "amounts", k=3),
        last_time("french_at"),
        last_time("belgian_at"),
    ),
    windows=(days(7),),
    resolution=minutes(1),
    suffix=False,
)
OF_SHOP = replace(VIEW, name="w", entity=MERCHANT, aggregates=(count("visits"), total("amount", "sold")))
BY_COUNTRY = Chosen("n", "country", {"FR": "french", "BE": "belgian"})
KNOWN = Membership("known", "merchant_id", "shops")


def features(**changes: Any) -> FeatureSet:
    """A feature set that is right, but for `changes`."""
    right: dict[str, Any] = {
        "system": "s",
        "request": TRANSACTIONS,
        "views": (VIEW, OF_SHOP),
        "chosen": (BY_COUNTRY,),
        "memberships": (KNOWN,),
        "model_features": ("n", "known"),
    }
    return FeatureSet(**{**right, **changes})


def test_they_stand_behind_what_is_made_of_features_alone_and_before_the_request() -> None:
    own = RequestFeature("amount", "field", "amount")
    found = features(ratios=(Ratio("r", "french", "belgian"),), request_features=(own,))
    assert found.names[-4:] == ("r", "n", "known", "amount")
    assert found.crossed == (BY_COUNTRY, KNOWN)


def test_a_ratio_and_an_elapsed_time_may_be_made_of_what_is_chosen() -> None:
    at = Chosen("at", "country", {"FR": "french_at", "BE": "belgian_at"})
    found = features(
        chosen=(BY_COUNTRY, at), ratios=(Ratio("share", "n", "belgian"),), elapsed=(Elapsed("since", "at"),)
    )
    assert found.with_parts(["share"]) == ("share", "n", "belgian", "french")
    assert found.with_parts(["since", "m"]) == ("since", "m", "at", "french_at", "belgian_at")


def test_the_column_itself_may_be_a_feature_of_its_own_name() -> None:
    own = RequestFeature("country", "field", "country", categorical=True)
    assert features(request_features=(own,)).crossed == (BY_COUNTRY, KNOWN)


def test_what_is_recorded_of_them_is_read_as_it_was_written() -> None:
    assert read_features(write_features(features())) == features()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": "french"}, r"names used twice: \['french'\]"),
        ({"name": "no name"}, "feature.*'no name'"),
        ({"column": "colour"}, r"chosen 'n': .*'transactions' has no column 'colour'; it has \['amount', "),
        ({"column": "amount"}, "chosen 'n': column 'amount' is double: name a string column"),
        ({"of": {}}, "chosen 'n': chooses among nothing: give the features"),
        ({"of": {"FR": "gone"}}, r"unknown features \['gone'\]"),
        ({"of": {"FR": "french", "BE": "kind"}}, r"chosen 'n': \['kind'\] are texts or lists: choose among numbers"),
        ({"of": {"FR": "shops"}}, r"chosen 'n': \['shops'\] are texts or lists"),
        ({"of": {"FR": "amounts"}}, r"chosen 'n': \['amounts'\] are texts or lists"),
        ({"of": {"FR": "french", "BE": "m"}}, "chosen 'n': chooses among count and mean, .*make it two features"),
        ({"of": {"FR": "french", "BE": "visits"}}, "'n' is made from features of user and merchant.*features of one"),
        ({"of": {"FR": "known"}}, r"chosen 'n': \['known'\] are not made over a window: name features of views"),
        ({"of": {"FR": "n"}}, r"chosen 'n': \['n'\] are not made over a window"),
        ({"default": float("nan")}, "chosen 'n': default nan is no number .*finite"),
        ({"default": float("inf")}, "chosen 'n': default inf is no number"),
    ],
)
def test_a_choice_that_cannot_be_right_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DefinitionError, match=sentence):
        features(chosen=(replace(BY_COUNTRY, **changes),), model_features=())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": "n"}, r"names used twice: \['n'\]"),
        ({"column": "colour"}, "membership 'known': .*has no column 'colour'"),
        ({"column": "timestamp"}, "membership 'known': column 'timestamp' is long: name a string column"),
        ({"of": "gone"}, r"unknown features \['gone'\]"),
        ({"of": "french"}, "membership 'known': 'french' holds no list: name a last_k feature"),
        ({"of": "kind"}, "membership 'known': 'kind' holds no list"),
        ({"of": "amounts"}, "membership 'known': 'amounts' lists numbers: name a last_k of a string column"),
        ({"of": "n"}, r"membership 'known': \['n'\] are not made over a window"),
    ],
)
def test_a_membership_that_cannot_be_right_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DefinitionError, match=sentence):
        features(memberships=(replace(KNOWN, **changes),), model_features=())


def test_a_field_of_a_record_is_hidden_by_a_feature_of_the_records_name() -> None:
    request = replace(TRANSACTIONS, columns={**TRANSACTIONS.columns, "shop.country": "string"})
    nested = replace(BY_COUNTRY, column="shop.country")
    assert features(request=request, chosen=(nested,)).chosen == (nested,)
    own = RequestFeature("shop", "field", "shop.country")
    with pytest.raises(DefinitionError, match=r"chosen 'n': column 'shop.country' is hidden by the feature"):
        features(request=request, chosen=(nested,), request_features=(own,))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"ratios": (Ratio("r", "known", "french"),)}, r"ratio 'r': \['known'\] are themselves derived"),
        ({"ratios": (Ratio("r", "n", "visits"),)}, "'r' is made from features of user and merchant"),
        ({"elapsed": (Elapsed("e", "n"),)}, r"\['n'\] hold no time to measure from"),
        (
            {"views": (VIEW, replace(OF_SHOP, aggregates=(count("country"),)))},
            "chosen 'n': column 'country' is hidden by the feature of that name: rename the feature",
        ),
        (
            {"views": (VIEW, replace(OF_SHOP, aggregates=(count("merchant_id"),)))},
            "membership 'known': column 'merchant_id' is hidden",
        ),
        ({"chosen": (BY_COUNTRY, replace(BY_COUNTRY, name="country"))}, "chosen 'n': column 'country' is hidden"),
        ({"chosen": (replace(BY_COUNTRY, name="country"),), "model_features": ()}, "chosen 'country': .* is hidden"),
        ({"ratios": (Ratio("country", "french", "belgian"),)}, "chosen 'n': column 'country' is hidden"),
        ({"elapsed": (Elapsed("country", "french_at"),)}, "chosen 'n': column 'country' is hidden"),
        (
            {"memberships": (replace(KNOWN, name="merchant_id"),), "model_features": ()},
            "membership 'merchant_id': column 'merchant_id' is hidden",
        ),
        (
            {"request_features": (RequestFeature("country", "differs", "country", "user_country"),)},
            "chosen 'n': column 'country' is hidden by the feature of that name: rename the feature",
        ),
        (
            {"request_features": (RequestFeature("merchant_id", "field", "merchant_category"),)},
            "membership 'known': column 'merchant_id' is hidden",
        ),
        (
            {"request_features": (RequestFeature("country", "equals", "country", value="FR"),)},
            "chosen 'n': column 'country' is hidden",
        ),
    ],
)
def test_what_is_beside_them_is_checked_with_them(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DefinitionError, match=sentence):
        features(**changes)
