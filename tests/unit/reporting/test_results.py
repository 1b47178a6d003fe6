import pytest
from pydantic import ValidationError

from lamina.demo.stories.fraud import FraudResults
from lamina.reporting.results import FeatureParity, Freshness, Hop
from tests.unit.reporting.sample import results


def test_what_was_neither_passed_on_nor_put_aside_is_lost() -> None:
    assert Hop(path="t", name="archived", expected=100, rows=97, aside=2).lost == 1
    assert Hop(path="t", name="archived", expected=100, rows=101).lost == -1
    assert Hop(path="t", name="tiles", rows=300).lost is None


def test_losses_do_not_cancel_out_with_duplicates() -> None:
    hops = [Hop(path="t", name="a", expected=10, rows=9), Hop(path="t", name="b", expected=10, rows=11)]
    assert results().model_copy(update={"hops": hops}).lost == 2


def test_stale_is_not_wrong_but_mismatch_missing_and_extra_are() -> None:
    assert FeatureParity(name="f", compared=9, match=3, stale=2, mismatch=1, missing=1, extra=2).wrong == 4


def test_bins_need_one_edge_more() -> None:
    percentiles = results().freshness.percentiles  # type: ignore[union-attr]
    with pytest.raises(ValidationError, match="2 bins need 3 edges, not 2"):
        Freshness(percentiles=percentiles, edges_ms=[0, 1], counts=[1, 2])


def test_results_survive_json() -> None:
    assert FraudResults.model_validate_json(results().model_dump_json()) == results()
