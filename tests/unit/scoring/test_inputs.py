"""Inputs that cross features with a column of the request: what each says it is, and what stands in where it is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lamina.contracts.features import FeatureSet, Membership
from lamina.scoring.inputs import computation_of, fingerprint, inputs_of, misfit
from lamina.scoring.moving import moving
from tests.unit.crossed import FEATURES


def with_first(features: FeatureSet, **changes: object) -> FeatureSet:
    """`features` with the first choice changed."""
    return replace(features, chosen=(replace(features.chosen[0], **changes), *features.chosen[1:]))  # type: ignore[arg-type]


def test_what_may_be_missing_is_left_to_the_model() -> None:
    defaults = {i.name: i.default for i in inputs_of(FEATURES, {})}
    assert defaults == {
        "n": 0.0, "n_if_known": None, "mean": None, "heat": 0.0, "known": None, "share": 0.0, "since": None
    }  # fmt: skip


def test_each_says_how_it_is_computed() -> None:
    french, belgian = (computation_of(FEATURES, name) for name in ("french", "belgian"))
    assert computation_of(FEATURES, "n") == f"by country of the request 'BE': ({belgian}), 'FR': ({french}) else 0"
    assert computation_of(FEATURES, "n_if_known").endswith(" else missing")
    assert computation_of(FEATURES, "known") == f"merchant_id of the request in ({computation_of(FEATURES, 'shops')})"
    assert computation_of(FEATURES, "share") == f"({computation_of(FEATURES, 'n')}) / ({french}) else 0"


@pytest.mark.parametrize(
    "changes",
    [
        {"column": "user_country"},
        {"of": {"FR": "french"}},
        {"of": {"FR": "belgian", "BE": "french"}},
        {"default": 1.0},
        {"version": 2},
    ],
)
def test_a_model_does_not_read_another_choice(changes: dict[str, object]) -> None:
    inputs, changed = inputs_of(FEATURES, {}), with_first(FEATURES, **changes)
    assert misfit(inputs, changed) == "n, share changed"
    assert fingerprint(inputs_of(changed, {})) != fingerprint(inputs)


def test_a_model_reads_a_choice_whatever_order_it_is_written_in() -> None:
    assert misfit(inputs_of(FEATURES, {}), with_first(FEATURES, of={"BE": "belgian", "FR": "french"})) is None


def test_a_model_does_not_read_another_membership() -> None:
    changed = replace(FEATURES, memberships=(Membership("known", "card_token", "shops"), FEATURES.memberships[1]))
    assert misfit(inputs_of(FEATURES, {}), changed) == "known changed"


def test_what_is_chosen_moves_where_what_it_is_chosen_from_does() -> None:
    found = moving(FEATURES)
    assert found.keys() & {own.name for own in FEATURES.made} == {"heat", "heat_share", "since"}
