"""What is asked of the decision maker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from lamina.contracts.transactions import Transaction
from serving.stages.repeats import Turn


@dataclass(frozen=True)
class Inquiry:
    """A transaction to decide on. `started_ns` is when its request arrived, by `time.perf_counter_ns`."""

    transaction: Transaction
    request_id: str
    started_ns: int


class Asked(NamedTuple):
    """An inquiry, its turn, whether it is to be explained, and until when a model may be asked.

    `row` is the transaction as a mapping, `raw` as `Transaction.to_json` writes it, from the same fields.
    """

    inquiry: Inquiry
    turn: Turn
    explain: bool
    until_ns: int
    row: dict[str, object]
    raw: bytes


def row_of(transaction: Transaction) -> dict[str, object]:
    """As `model_dump` gives it, in a third of the time."""
    row = dict(vars(transaction))
    if transaction.location is not None:
        row["location"] = dict(vars(transaction.location))
    return row
