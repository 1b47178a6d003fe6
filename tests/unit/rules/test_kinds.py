"""Each kind of rule on a table of cases."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

import pytest

from lamina.contracts.transactions import Location
from lamina.rules.kinds import ImpossibleVelocity, ListedCard, ListedCountry, UnusualAmount, distance_km
from tests.unit.serving.transactions import transaction

AT_MS = 1_735_689_600_000
MINUTE_MS = 60_000
PARIS, NEW_YORK, LONDON = (48.8566, 2.3522), (40.7128, -74.0060), (51.5074, -0.1278)


@pytest.mark.parametrize(
    ("a", "b", "km"),
    [
        (PARIS, PARIS, 0.0),
        (PARIS, LONDON, 343.6),
        (PARIS, NEW_YORK, 5837.2),
        ((0.0, 179.5), (0.0, -179.5), 111.2),  # across the date line
        ((90.0, 0.0), (-90.0, 0.0), 20015.1),  # pole to pole
        ((0.0, 0.0), (0.0, 180.0), 20015.1),  # antipodes
    ],
)
def test_distance(a: tuple[float, float], b: tuple[float, float], km: float) -> None:
    one, other = Location(lat=a[0], lon=a[1]), Location(lat=b[0], lon=b[1])
    assert distance_km(one, other) == pytest.approx(km, abs=0.1)
    assert distance_km(other, one) == pytest.approx(km, abs=0.1)


VELOCITY = ImpossibleVelocity(code="v", action="reject", kind="impossible_velocity", max_km=1000, within_minutes=60)


@pytest.mark.parametrize(
    ("last", "minutes_ago", "here", "detail"),
    [
        (PARIS, 38, NEW_YORK, "5,837 km in 38 min"),
        (PARIS, 60, NEW_YORK, "5,837 km in 60 min"),
        (PARIS, 0, NEW_YORK, "5,837 km in 0 min"),
        (PARIS, 61, NEW_YORK, None),  # long enough ago
        (PARIS, 38, LONDON, None),  # near enough
        (PARIS, -1, NEW_YORK, None),  # events out of order: the last place is later than this one
    ],
)
def test_impossible_velocity(
    last: tuple[float, float], minutes_ago: int, here: tuple[float, float], detail: str | None
) -> None:
    features = {"last_lat": last[0], "last_lon": last[1], "last_located_ms": float(AT_MS - minutes_ago * MINUTE_MS)}
    now = transaction(timestamp=AT_MS, location={"lat": here[0], "lon": here[1]})
    assert VELOCITY.fires(now, features) == detail


def test_impossible_velocity_needs_two_places() -> None:
    features = {"last_lat": 0.0, "last_lon": 0.0, "last_located_ms": float(AT_MS)}
    assert VELOCITY.fires(transaction(timestamp=AT_MS, location=None), features) is None
    far = transaction(timestamp=AT_MS, location={"lat": 50.0, "lon": 50.0})
    assert VELOCITY.fires(far, features) is not None
    for name in features:
        assert VELOCITY.fires(far, {**features, name: None}) is None
    assert VELOCITY.fires(far, {}) is None


AMOUNT = UnusualAmount(
    code="a", action="review", kind="unusual_amount", min_transactions=20, deviations=4, times_largest=1.5
)
USUAL: dict[str, float | str | None] = {
    "lifetime_txn_count": 20.0,
    "avg_txn_amount": 50.0,
    "std_txn_amount": 10.0,
    "max_txn_amount": 80.0,
}


@pytest.mark.parametrize(
    ("amount", "changes", "fires"),
    [
        (120.01, {}, True),
        (120.0, {}, False),  # not above 1.5 times the largest
        (121.0, {"std_txn_amount": 20.0}, False),  # within four deviations
        (500.0, {"lifetime_txn_count": 19.0}, False),  # too short a history
        (500.0, {"avg_txn_amount": 5000.0, "max_txn_amount": 9000.0}, False),  # usual for this user
        (30.0, {"avg_txn_amount": 2.0, "std_txn_amount": 0.5, "max_txn_amount": 3.0}, True),  # no fixed threshold
        (100.0, {"std_txn_amount": 0.0, "max_txn_amount": 50.0}, True),  # always the same amount so far
        (-500.0, {}, False),  # a refund
        (500.0, {"max_txn_amount": None}, False),
    ],
)
def test_unusual_amount(amount: float, changes: dict[str, float | None], fires: bool) -> None:
    assert (AMOUNT.fires(transaction(amount=amount), {**USUAL, **changes}) is not None) == fires


def test_unusual_amount_names_its_numbers() -> None:
    detail = AMOUNT.fires(transaction(amount=1250.5), USUAL)
    assert detail == "1,250.50 is 120.0 deviations above the mean 50.00 of 20 transactions, largest 80.00"
    assert AMOUNT.fires(transaction(amount=1250.5), {}) is None


def test_listed_card_masks_the_token(tmp_path: Path) -> None:
    (tmp_path / "cards.txt").write_text("# lost\n\ncard-ad773f96b5\n")
    rule = ListedCard(code="c", action="reject", kind="listed_card", file="cards.txt")
    rule.load(tmp_path)
    assert rule.fires(transaction(card_token="card-ad773f96b5"), {}) == "card ***96b5 is listed in cards.txt"
    assert rule.fires(transaction(card_token="card-ad773f96b6"), {}) is None
    assert rule.fires(transaction(card_token="lost"), {}) is None


def test_listed_card_by_salted_hash(tmp_path: Path) -> None:
    digest = hmac.new(b"pepper", b"card-ad773f96b5", hashlib.sha256).hexdigest()
    (tmp_path / "cards.txt").write_text(f"{digest}\n")
    rule = ListedCard(code="c", action="reject", kind="listed_card", file="cards.txt", hashing="sha256", salt="pepper")
    rule.load(tmp_path)
    assert rule.fires(transaction(card_token="card-ad773f96b5"), {}) is not None
    assert rule.fires(transaction(card_token="card-ad773f96b6"), {}) is None
    assert "pepper" not in repr(rule)


def test_hashing_needs_a_salt() -> None:
    with pytest.raises(ValueError, match="salt"):
        ListedCard(code="c", action="reject", kind="listed_card", file="cards.txt", hashing="sha256")


@pytest.mark.parametrize("text", ["Xa\n", "FRA\n", "12\n"])
def test_country_lists_hold_country_codes(tmp_path: Path, text: str) -> None:
    (tmp_path / "countries.txt").write_text(text)
    rule = ListedCountry(code="c", action="review", kind="listed_country", file="countries.txt")
    with pytest.raises(ValueError, match=r"countries\.txt: 1 entries are not country codes"):
        rule.load(tmp_path)


def test_listed_country(tmp_path: Path) -> None:
    (tmp_path / "countries.txt").write_text("XA\n")
    rule = ListedCountry(code="c", action="review", kind="listed_country", file="countries.txt")
    rule.load(tmp_path)
    assert rule.fires(transaction(country="XA"), {}) == "country XA is listed in countries.txt"
    assert rule.fires(transaction(country="PT"), {}) is None
