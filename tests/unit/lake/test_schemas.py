from __future__ import annotations

import pyarrow as pa
import pytest
from pydantic import BaseModel

from lamina.contracts.transactions import FraudLabel, Location, Transaction
from lamina.lake.schemas import FRAUD_LABELS_SCHEMA, LOCATION_TYPE, TRANSACTIONS_SCHEMA, in_lake, without_position


@pytest.mark.parametrize(
    ("contract", "schema"), [(Transaction, TRANSACTIONS_SCHEMA), (FraudLabel, FRAUD_LABELS_SCHEMA)]
)
def test_the_columns_are_those_of_the_contract(contract: type[BaseModel], schema: pa.Schema) -> None:
    assert schema.names == list(contract.model_fields)
    for name, field in contract.model_fields.items():
        assert schema.field(name).nullable != field.is_required(), name
    assert [field.name for field in LOCATION_TYPE] == list(Location.model_fields)


def test_imported_rows_have_no_place_in_kafka() -> None:
    table = without_position(FRAUD_LABELS_SCHEMA.empty_table())
    assert table.schema.equals(in_lake(FRAUD_LABELS_SCHEMA))
