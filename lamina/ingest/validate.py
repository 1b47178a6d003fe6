"""The contract of a transaction on whole columns: the verdict of `Transaction`, a hundred times faster.

Hot path. A test compares verdict and first offending field with the pydantic model on generated rows, good and bad.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lamina.contracts.base import TEXT
from lamina.contracts.cards import IS_CARD_NUMBER, RUN, holds_card_number
from lamina.contracts.epoch import MAX_TIMESTAMP_MS, MIN_TIMESTAMP_MS
from lamina.contracts.transactions import Transaction
from lamina.ingest.checks import Check, Mask, mask_of
from lamina.ingest.convert import Converted

_CLEAN = TEXT.replace(r"\ufffd", r"\x{fffd}")  # as RE2 writes it
_IDENTIFIER, _LABEL = 128, 64
_AMOUNT_LIMIT = 1e9
_RUN = rf"{RUN}|[^\x00-\x7f]"  # digits of other scripts are looked at one by one
_TYPES = pa.array(["in_store", "online", "atm", "transfer"])

_TEXTS: dict[str, tuple[int, int, str]] = {
    "transaction_id": (1, _IDENTIFIER, _CLEAN),
    "user_id": (1, _IDENTIFIER, _CLEAN),
    "card_token": (4, 64, r"^[A-Za-z0-9_\-]+$"),
    "currency": (3, 3, r"^[A-Z]{3}$"),
    "merchant_id": (1, _IDENTIFIER, _CLEAN),
    "merchant_category": (1, _LABEL, _CLEAN),
    "country": (2, 2, r"^[A-Z]{2}$"),
    "user_country": (2, 2, r"^[A-Z]{2}$"),
    "device_type": (1, _LABEL, _CLEAN),
}
_ORDER = {name: place for place, name in enumerate([*Transaction.model_fields, "is_fraud", "scenario"])}


def first_problems(converted: Converted) -> NDArray[np.object_]:
    """For every row None, or `field: reason` of the first field, in the contract's order, that breaks a rule."""
    checks = sorted(
        [*converted.checks, *contract_checks(converted.events), *_scenario_checks(converted)],
        key=lambda check: _ORDER[check.field.split(".")[0]],
    )
    problems = np.full(converted.events.num_rows, None, dtype=object)
    # Backwards, so that the first field has the last word.
    for check in reversed(checks):
        problems[check.broken] = f"{check.field}: {check.reason}"
    return problems


def contract_checks(events: pa.Table) -> Iterable[Check]:
    """The rules of `Transaction`, each with the rows that break it."""
    yield Check("card_token", IS_CARD_NUMBER, _card_numbers(events["card_token"]))
    for name, rule in _TEXTS.items():
        yield from _text_checks(name, events[name], *rule)
    yield _missing("amount", events["amount"])
    amount = _floats(events["amount"])
    with np.errstate(invalid="ignore"):
        yield Check(
            "amount",
            f"must be a number between -{_AMOUNT_LIMIT:g} and {_AMOUNT_LIMIT:g}",
            ~(np.abs(amount) <= _AMOUNT_LIMIT),
        )
    kind = events["transaction_type"]
    yield _missing("transaction_type", kind)
    yield Check("transaction_type", f"must be one of {', '.join(_TYPES.to_pylist())}", ~mask_of(pc.is_in(kind, _TYPES)))
    yield from _location_checks(events["location"])
    at_ms = events["timestamp"]
    yield _missing("timestamp", at_ms)
    inside = pc.and_(pc.greater_equal(at_ms, MIN_TIMESTAMP_MS), pc.less_equal(at_ms, MAX_TIMESTAMP_MS))
    reason = "must lie between the years 2000 and 2100: see the mapping's unit, and origin where it is not 1970"
    yield Check("timestamp", reason, ~mask_of(inside))


def _missing(field: str, column: pa.ChunkedArray) -> Check:
    return Check(field, "is missing", mask_of(column.is_null()))


def _text_checks(field: str, column: pa.ChunkedArray, shortest: int, longest: int, pattern: str) -> Iterable[Check]:
    reason = f"must be {shortest} to {longest} characters" if shortest < longest else f"must be {longest} characters"
    length = pc.utf8_length(column)
    outside = pc.or_(pc.less(length, shortest), pc.greater(length, longest))
    yield _missing(field, column)
    yield Check(field, f"must match {pattern}", ~mask_of(pc.match_substring_regex(column, pattern)))
    yield Check(field, reason, mask_of(outside))


def _card_numbers(tokens: pa.ChunkedArray) -> Mask:
    """Which tokens hold a card number: only those with so many digits are looked at one by one."""
    found = mask_of(pc.match_substring_regex(tokens, _RUN))
    found[found] = [holds_card_number(token) for token in tokens.filter(pa.array(found)).to_pylist()]
    return found


def _location_checks(location: pa.ChunkedArray) -> Iterable[Check]:
    there = mask_of(location.is_valid())
    for part, limit in (("lat", 90), ("lon", 180)):
        values = _floats(pc.struct_field(location, part))
        with np.errstate(invalid="ignore"):
            yield Check(
                f"location.{part}", f"must lie between -{limit} and {limit}", there & ~(np.abs(values) <= limit)
            )


def _scenario_checks(converted: Converted) -> Iterable[Check]:
    named = converted.is_fraud & mask_of(converted.scenario.is_valid())
    for check in _text_checks("scenario", pa.chunked_array([converted.scenario]), 1, _LABEL, _CLEAN):
        yield Check(check.field, check.reason, check.broken & named)


def _floats(column: pa.ChunkedArray) -> NDArray[np.float64]:
    return np.asarray(column.to_numpy(), dtype=np.float64)


class SeenIds:
    """Ids met so far in one file, 8 bytes each: a 64-bit hash, sorted runs merged as they grow.

    Two different ids share a hash about once in ten million files of a million rows.
    """

    def __init__(self) -> None:
        self._runs: list[NDArray[np.uint64]] = []

    def repeated(self, ids: pa.ChunkedArray, usable: Mask) -> Mask:
        """Which of the `usable` rows have an id met before, in an earlier call or row; remembers the others."""
        again = np.zeros(len(ids), dtype=np.bool_)
        rows = np.flatnonzero(usable)
        hashes = pd.util.hash_array(ids.to_numpy()[rows], categorize=False)
        values, first = np.unique(hashes, return_index=True)
        fresh = np.ones(len(values), dtype=np.bool_)
        for run in self._runs:
            place = np.minimum(np.searchsorted(run, values), len(run) - 1)
            fresh &= run[place] != values
        new_rows = rows[first[fresh]]
        again[rows] = True
        again[new_rows] = False
        if fresh.any():
            self._remember(values[fresh])
        return again

    def _remember(self, run: NDArray[np.uint64]) -> None:
        # Runs of falling size: each id is merged a logarithmic number of times.
        while self._runs and len(self._runs[-1]) <= 2 * len(run):
            # The runs share no id; a stable sort merges two sorted halves in one pass.
            run = np.sort(np.concatenate([self._runs.pop(), run]), kind="stable")
        self._runs.append(run)
