from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lamina.errors import MappingError
from lamina.ingest.mapping import SHIPPED, load_mapping

MINIMAL: dict[str, Any] = {
    "name": "mine",
    "transaction_id": "id",
    "user_id": "customer-{who}",
    "card_token": {"column": "card", "sha256": True, "prefix": "card-"},
    "amount": {"column": "cents", "divisor": 100},
    "currency": {"constant": "EUR"},
    "merchant_id": "shop",
    "merchant_category": {"column": "kind", "default": "unknown"},
    "country": {"constant": "BE"},
    "user_country": {"constant": "BE"},
    "transaction_type": {"constant": "in_store"},
    "device_type": {"constant": "terminal"},
    "timestamp": {"column": "at", "unit": "s"},
}


def write(tmp_path: Path, **changes: Any) -> str:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({**MINIMAL, **changes}))
    return str(path)


@pytest.mark.parametrize("name", sorted(file.stem for file in SHIPPED.glob("*.yaml")))
def test_shipped_mappings_load_by_name(name: str) -> None:
    assert load_mapping(name).name == name


def test_the_columns_are_those_that_are_read(tmp_path: Path) -> None:
    mapping = load_mapping(write(tmp_path, location={"lat": "x", "lon": "y"}, label={"column": "bad"}))
    assert mapping.columns == ["id", "who", "card", "shop", "kind", "cents", "at", "x", "y", "bad"]
    assert mapping.hashed_columns == {"card"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": "red"}, "colour: Extra inputs are not permitted"),
        ({"user_id": {"column": "a", "constant": "b"}}, "user_id: .*exactly one of"),
        ({"user_id": {}}, "user_id: .*exactly one of"),
        ({"user_id": {"template": "no braces"}}, "use constant"),
        ({"user_id": {"constant": "u", "sha256": True}}, "go with a column"),
        ({"amount": {"column": "a", "divisor": 0}}, "amount.divisor"),
        ({"timestamp": {"column": "a", "unit": "years"}}, "timestamp.unit"),
        ({"timestamp": {"date": "a"}}, "date and time"),
        ({"label": {"column": "a", "delay_s": 604_801}}, "label.delay_s"),
        ({"name": "No Spaces"}, "name"),
    ],
)
def test_what_cannot_be_right_is_refused_by_name(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(MappingError, match=message):
        load_mapping(write(tmp_path, **changes))


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=r"amount: .*; colour: "):
        load_mapping(write(tmp_path, colour="red", amount=7))


def test_a_missing_or_broken_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="one of: handbook, ieee-cis, paysim, sparkov, sparkov-kaggle, ulb"):
        load_mapping("nothing")
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [")
    with pytest.raises(MappingError, match="is not YAML"):
        load_mapping(str(broken))


def test_a_column_the_file_lacks_is_named() -> None:
    with pytest.raises(MappingError, match="does not have: TX_FRAUD_SCENARIO"):
        mapping = load_mapping("handbook")
        mapping.check_columns([name for name in mapping.columns if name != "TX_FRAUD_SCENARIO"])
