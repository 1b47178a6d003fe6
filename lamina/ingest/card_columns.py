"""Columns that hold card numbers in clear, judged as a whole: single long numbers may be ids by right."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa

from lamina.contracts.cards import is_card_like
from lamina.errors import MappingError
from lamina.ingest.mapping import TransactionMapping
from lamina.lake.ids import ids_of

LOOKED_AT = 2000
"""Rows of a batch that are looked at, evenly spread."""


class CardColumns:
    """Looks at what a mapping stores as it stands. `file` is named in messages."""

    def __init__(self, mapping: TransactionMapping, file: str) -> None:
        self._columns, self._file = mapping.plain_columns, file
        self._seen, self._cards = Counter[str](), Counter[str]()

    def look(self, table: pa.Table) -> None:
        """Raise: MappingError: when more than half of the values of a column so far are card numbers."""
        if not table.num_rows:
            return
        rows = np.unique(np.linspace(0, table.num_rows - 1, LOOKED_AT).astype(np.int64))
        for name in self._columns:
            if name not in table.column_names:
                continue
            texts = [text for text in ids_of(table[name].take(pa.array(rows))).texts.to_pylist() if text]
            self._seen[name] += len(texts)
            self._cards[name] += sum(is_card_like(text) for text in texts)
            if self._cards[name] * 2 > self._seen[name]:
                raise MappingError(
                    f"{self._file}: column {name!r} holds card numbers, which are never stored: "
                    f"{self._cards[name]} of {self._seen[name]} values have the length, first digits and check digit "
                    f"of one. Hash it ({{column: {name}, sha256: true}}) or leave it out; if they are no card numbers, "
                    f"say `no_cards: [{name}]` in the mapping"
                )
