"""An import brings amounts in one currency, by rates that its mapping states, or nothing at all."""

from __future__ import annotations

from pathlib import Path

import pyarrow.dataset as ds
import pytest

from lamina.errors import MappingError
from lamina.ingest.mapping import TransactionMapping
from lamina.ingest.transactions import import_transactions
from lamina.lake import layout

ROWS = """id,user,amount,currency,at
1,u1,10.00,EUR,2018-08-08T00:00:00Z
2,u1,10.00,USD,2018-08-08T00:00:01Z
3,u2,-3.10,JPY,2018-08-08T00:00:02Z
"""


def mapping(**more: object) -> TransactionMapping:
    text = {"constant": "x"}
    return TransactionMapping.model_validate(
        {
            "name": "m",
            "transaction_id": "t-{id}",
            "user_id": "user",
            "card_token": "card-{user}",
            "amount": {"column": "amount"},
            "currency": {"column": "currency"},
            "merchant_id": text,
            "merchant_category": text,
            "country": {"constant": "FR"},
            "user_country": {"constant": "FR"},
            "transaction_type": {"constant": "online"},
            "device_type": text,
            "timestamp": {"column": "at"},
            **more,
        }
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (path := tmp_path / "payments.csv").write_text(ROWS)
    return path


def test_other_currencies_are_converted_by_the_stated_rates(file: Path, tmp_path: Path) -> None:
    lake = str(tmp_path / "lake")
    report = import_transactions(file, mapping(rates={"USD": 0.9, "JPY": 0.0077}), lake, currency="EUR")
    assert (report.accepted, report.rejected) == (3, 0)
    found = ds.dataset(layout.topic(lake, "transactions"), format="parquet").to_table().sort_by("transaction_id")
    assert found["amount"].to_pylist() == [10.0, 9.0, -0.02387]
    assert set(found["currency"].to_pylist()) == {"EUR"}
    assert report.notes["currency: USD converted by 0.9"] == report.notes["currency: JPY converted by 0.0077"] == 1


def test_a_currency_without_a_rate_is_refused_and_nothing_is_written(file: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    with pytest.raises(MappingError, match=r"payments\.csv: 1 amounts are in JPY, .* in EUR.*rates.*LAMINA_CURRENCY"):
        import_transactions(file, mapping(rates={"USD": 0.9}), str(lake), currency="EUR")
    assert not list(lake.rglob("*.parquet"))


def test_an_installation_of_its_own_has_its_own_currency(file: Path, tmp_path: Path) -> None:
    file.write_text(ROWS.replace("EUR", "USD").replace("JPY", "USD"))
    report = import_transactions(file, mapping(), str(tmp_path / "lake"), currency="USD")
    assert (report.accepted, report.notes) == (3, {})


@pytest.mark.parametrize("rates", [{"USD": 0}, {"USD": -1}, {"USD": float("inf")}, {"usd": 1.0}])
def test_rates_that_cannot_be(rates: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="rates"):
        mapping(rates=rates)
