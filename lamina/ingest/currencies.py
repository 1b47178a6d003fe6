"""Amounts in the one currency of the installation: they are added up, whatever stands beside them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lamina.errors import MappingError
from lamina.ingest.mapping import TransactionMapping

DECIMALS = 6
"""Of a converted amount: more than any currency has, fewer than a product of two binary fractions makes up."""


def in_currency(
    transactions: pa.Table, currency: str, mapping: TransactionMapping, file: str
) -> tuple[pa.Table, Counter[str]]:
    """`transactions` with all amounts in `currency`, and how many were converted from which.

    Raises: MappingError: names the currencies for which the mapping has no rate.
    """
    codes = transactions["currency"]
    counts = {str(c["values"]): int(c["counts"].as_py()) for c in pc.value_counts(codes.combine_chunks())}
    others = {code: n for code, n in counts.items() if code != currency}
    if lacking := sorted(others.keys() - mapping.rates.keys()):
        raise MappingError(
            f"{file}: {sum(others[c] for c in lacking):,} amounts are in {', '.join(lacking)}, and would be added up "
            f"with those of this installation, which are in {currency}: give mapping {mapping.name!r} rates, such as "
            f"`rates: {{{lacking[0]}: 0.9}}`, or set LAMINA_CURRENCY={lacking[0]} for an installation of its own"
        )
    if not others:
        return transactions, Counter()
    rates = {currency: 1.0, **mapping.rates}
    rate = np.array([rates[code] for code in codes.to_pylist()])
    amounts = transactions["amount"].to_numpy()
    converted = np.where(rate == 1.0, amounts, np.round(amounts * rate, DECIMALS))
    place = transactions.schema.get_field_index
    found = transactions.set_column(place("amount"), transactions.schema.field("amount"), pa.array(converted))
    field = transactions.schema.field("currency")
    found = found.set_column(place("currency"), field, pa.array([currency] * len(rate), field.type))
    return found, Counter({f"currency: {code} converted by {rates[code]:g}": n for code, n in others.items()})
