"""Transactions for the tests of serving."""

from __future__ import annotations

from lamina.contracts.transactions import Transaction
from serving.systems.fraud.routes import TRANSACTION


def transaction(**changes: object) -> Transaction:
    """The documented example with `changes`."""
    return Transaction.model_validate({**TRANSACTION, **changes})
