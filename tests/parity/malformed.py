"""Messages that break the contract of a transaction, and the part of the reason that says where."""

from __future__ import annotations

import itertools

import orjson

from lamina.semantics.events import EventRow

MALFORMED = (
    (None, "transaction_id"),
    (b"", "transaction_id"),
    (b"not json", "transaction_id"),
    (b'{"transaction_id": "cut off', "transaction_id"),
    (b"[1, 2]", "transaction_id"),
    (b"\xff\xfe\x00", "transaction_id"),
)


def broken(event: EventRow) -> list[tuple[bytes | None, str]]:
    """Every kind of broken message, some of them `event` with one field changed."""

    ids = itertools.count()

    def changed(**fields: object) -> bytes:
        """Each has an id of its own: one that was taken for an event could not pass for a duplicate."""
        return orjson.dumps({**event, "transaction_id": f"bad{next(ids)}", **fields})

    return [
        *MALFORMED,
        (changed(user_id=None).replace(b'"user_id":null,', b""), "user_id"),
        (changed(merchant_id=None), "merchant_id"),
        (changed(merchant_id=""), "merchant_id"),
        (changed(user_id={"id": 7}), "user_id"),
        (changed(user_id="u" * 129), "user_id"),
        (changed(user_id="u\t1"), "control character"),
        (changed(merchant_id="m\x1f2"), "control character"),
        (changed(merchant_id="caf#").replace(b"caf#", b"caf\xe9"), "not UTF-8"),
        (changed(amount="much"), "amount"),
        (changed(amount=[1]), "amount"),
        (changed(amount="NaN"), "amount"),
        (changed(amount="-Infinity"), "amount"),
        (changed(location={"lat": "NaN", "lon": 2.0}), "location.lat"),
        (changed(timestamp=1_533_686_400), "timestamp"),
        (changed(timestamp="2018-08-08"), "timestamp"),
    ]
