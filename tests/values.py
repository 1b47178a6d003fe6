"""One table of what may stand in a field, as the bytes of JSON: the contract, every route of the API, the stream and
the archive are held to it.

`topic`: whether an event with it on a topic keeps the contract. `door`: whether the API takes it, and writes it down in
the contract's way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import orjson

TRANSACTION = {
    "transaction_id": "t-1",
    "user_id": "u-1",
    "card_token": "tok_1",
    "amount": 57.16,
    "currency": "EUR",
    "merchant_id": "m-1",
    "merchant_category": "grocery",
    "country": "FR",
    "user_country": "FR",
    "transaction_type": "in_store",
    "device_type": "terminal",
    "location": {"lat": 48.8566, "lon": 2.3522},
    "timestamp": 1_533_686_431_000,
}
LABEL = {
    "transaction_id": "t-1",
    "user_id": "u-1",
    "merchant_id": "m-1",
    "is_fraud": True,
    "scenario": "stolen_card",
    "source": "chargeback",
    "transaction_timestamp": 1_533_686_431_000,
    "timestamp": 1_534_291_231_000,
}
VISIT = {
    "event_id": "e-1",
    "user_id": "u-1",
    "event_type": "page_view",
    "item_id": "i-1",
    "session_id": "s-1",
    "page": "item",
    "purchase_id": None,
    "purchase_amount": None,
    "timestamp": 1_533_686_431_000,
}
PURCHASE = {**VISIT, "event_type": "purchase", "purchase_id": "p-1", "purchase_amount": 19.9}


@dataclass(frozen=True)
class Case:
    """A field with what stands in it, or the whole of a message."""

    field: str
    json: bytes
    topic: bool
    door: bool
    raw: bytes

    def __str__(self) -> str:
        return f"{self.field}={self.json[:24].decode(errors='replace')}"


def _cases(event: Mapping[str, object], field: str, given: str) -> Iterator[Case]:
    """Cases of a field, a line each: `+` both, `-` neither, `d` the door alone, `t` the topic alone; then the JSON."""
    for line in filter(None, (line.strip() for line in given.splitlines())):
        mark, _, json = line.partition(" ")
        fragment = json.encode()
        members = [
            orjson.dumps(name) + b":" + (fragment if name == field else orjson.dumps(value))
            for name, value in event.items()
        ]
        yield Case(field, fragment, mark in "+t", mark in "+d", b"{" + b",".join(members) + b"}")


AMOUNTS = """
+ 57.16
+ 57
+ -12.5
+ 0
+ -0
+ -0.0
+ 1e3
+ 1E-3
+ 0.1e1
+ 4.9e-324
+ 1e9
+ -1e9
+ 123456789.123456789
- 1000000000.01
- 12345678901234567890
- 1e400
- -1e400
- true
- false
- null
- "57.16"
- "1_000"
- " 57"
- ""
- "NaN"
- 1_000
- NaN
- Infinity
- -Infinity
- 01
- +1
- .5
- 5.
- 0x10
- [57.16]
- {"amount": 57.16}
- 'a'
"""
TIMES = """
+ 1533686431000
+ 946684800000
+ 4102444800000
- 946684799999
- 4102444800001
- 1533686431
- 1533686431000.0
- 1.533686431e12
- "1533686431000"
- true
- null
- -1
- 99999999999999999999
- "yesterday"
- "2018-08-08T25:00:00"
d "2018-08-08T00:00:31Z"
d "2018-08-08T02:00:31+02:00"
- {}
"""
IDS = (
    """
+ "u-17"
+ "7"
+ "007"
+ "12e4"
+ "caf\u00e9"
+ "caf\\u00e9"
+ "\\ud83d\\ude00"
+ "it's"
+ "a\\"b\\\\c"
+ "a\\/b"
+ "</script>"
+ "a b"
+ "\uff2e\uff35\uff2c\uff2c"
+ "u\\u0085x"
+ "u\\u2028x"
d " u-17"
d "u-17 "
d "u-17\u00a0"
d "u-17\u3000"
d "7.0"
d "-7.00"
- "-"
- "4.0E+15"
- "NULL"
- "nan"
- "None"
- "\\\\N"
- ""
- "   "
- 7
- 7.5
- true
- null
- {"id": "u-17"}
- ["u-17"]
- "a\\u0000b"
- "a\\tb"
- "a\\nb"
- "a\\u007fb"
- "a\\u001fb"
- "a\ufffdb"
- "a\\ufffdb"
- "\\ud800"
- "a\\ude00b"
- "open
"""
    f'+ "{"u" * 128}"\n+ "{"é" * 128}"\n+ "{chr(0x1F600) * 128}"\n- "{"u" * 129}"\n- "{chr(0x1F600) * 129}"\n'
)
TOKENS = (
    """
+ "tok_1"
+ "card-83e1204c97a1b02c55d0e1f4"
+ "123e4567-e89b-12d3-a456-426614174000"
+ "12345678901"
- "abc"
- "tok 1"
- "tok.1"
- "4546913736785082"
- "4546-9137-3678-5082"
- "card-4000-0012-3456-7899"
- "card4000001234567899"
- "4000001234567899EUR"
- "card4000001234567899xy"
- 4546913736785082
- 7
- null
- "null"
- "None"
- "undefined"
- "-nan"
d "tok_1 "
d "tok_1\u00a0"
"""
    f'+ "{"t" * 64}"\n- "{"t" * 65}"\n'
)
LABELS = (
    """
+ "grocery"
+ " grocery"
+ "7.0"
+ "NULL"
- ""
- 7
- true
- null
- "a\\tb"
- "a\ufffdb"
"""
    f'+ "{"g" * 64}"\n- "{"g" * 65}"\n'
)
CODES = """
+ "FR"
+ "ZZ"
- "fr"
- "FRA"
- "F"
- "FR\\n"
- "F\u0052\u0301"
- 7
- null
"""
CURRENCIES = """
+ "EUR"
- "eur"
- "EURO"
- "EU"
- "\u20ac"
- "EUR "
- 978
- null
"""
KINDS = """
+ "atm"
+ "transfer"
- "ATM"
- "barter"
- "atm "
- ""
- 1
- null
"""
PLACES = """
+ null
+ {"lat": 48.85, "lon": 2.35}
+ {"lat": -90, "lon": 180}
+ {"lat": 0, "lon": 0}
+ {"lon": 2.35, "lat": 48.85}
t {"lat": 48.85, "lon": 2.35, "accuracy_m": 12.5}
t {"lat": 48.85, "lon": 2.35, "more": {"lat": "x", "lon": true}}
- {"lat": 90.01, "lon": 0}
- {"lat": 0, "lon": -180.01}
- {"lat": 48.85}
- {"lat": 48.85, "lon": null}
- {"lat": null, "lon": null}
- {"lat": "48.85", "lon": 2.35}
- {"lat": true, "lon": 2.35}
- {"lat": NaN, "lon": 2.35}
- {"lat": {}, "lon": 2.35}
- {}
- []
- [48.85, 2.35]
- "here"
- ""
- true
- 7
"""
TRUTHS = """
+ true
+ false
- "true"
- "yes"
- 1
- 0
- null
- {}
"""
SOURCES = """
+ "chargeback"
+ "customer"
- "hearsay"
- "Analyst"
- 1
- null
"""
SCENARIOS = """
+ null
+ "stolen_card"
- ""
- 7
- true
- []
"""


def _whole(event: Mapping[str, object], *, door: bool = True) -> Iterator[Case]:
    """Messages that are otherwise right, or none at all."""
    raw = orjson.dumps(event)
    last = list(event)[-1]
    twice = raw[:-1] + b"," + orjson.dumps(last) + b":" + orjson.dumps(event[last]) + b"}"
    for name, message, topic, api in (
        ("blanks", b" \n" + raw.replace(b",", b" ,\t") + b"\r\n ", True, True),
        ("a field twice", twice, True, True),
        ("a further field", raw[:-1] + b',"further":1}', True, False),
        ("further fields", raw[:-1] + b',"further":{"amount":true,"user_id":[7]},"a\\"b":null}', True, False),
        ("cut off", raw[:-1], False, False),
        ("more behind it", raw + b" x", False, False),
        ("two at once", raw + raw, False, False),
        ("a comma too many", raw[:-1] + b",}", False, False),
        ("a byte-order mark", b"\xef\xbb\xbf" + raw, False, False),
        ("not UTF-8", raw.replace(b"u-1", b"u-\xe9"), False, False),
        ("UTF-16", raw.decode().encode("utf-16"), False, False),
        ("a list", b"[" + raw + b"]", False, False),
        ("a text", orjson.dumps(raw.decode()), False, False),
        ("null", b"null", False, False),
        ("nothing", b"", False, False),
        ("no JSON", b"not json", False, False),
        *((f"no {name}", _without(event, name), _may_be_absent(name), _may_be_absent(name)) for name in event),
    ):
        yield Case(name, b"", topic, api and door, message)


def _without(event: Mapping[str, object], name: str) -> bytes:
    return orjson.dumps({k: v for k, v in event.items() if k != name})


def _may_be_absent(name: str) -> bool:
    return name in ("location", "scenario", "purchase_id", "purchase_amount")


TRANSACTIONS: tuple[Case, ...] = (
    *_cases(TRANSACTION, "amount", AMOUNTS),
    *_cases(TRANSACTION, "timestamp", TIMES),
    *_cases(TRANSACTION, "user_id", IDS),
    *_cases(TRANSACTION, "transaction_id", IDS),
    *_cases(TRANSACTION, "merchant_id", IDS),
    *_cases(TRANSACTION, "card_token", TOKENS),
    *_cases(TRANSACTION, "merchant_category", LABELS),
    *_cases(TRANSACTION, "device_type", LABELS),
    *_cases(TRANSACTION, "country", CODES),
    *_cases(TRANSACTION, "user_country", CODES),
    *_cases(TRANSACTION, "currency", CURRENCIES),
    *_cases(TRANSACTION, "transaction_type", KINDS),
    *_cases(TRANSACTION, "location", PLACES),
    *_whole(TRANSACTION),
)
FRAUD_LABELS: tuple[Case, ...] = (
    *_cases(LABEL, "is_fraud", TRUTHS),
    *_cases(LABEL, "source", SOURCES),
    *_cases(LABEL, "scenario", SCENARIOS),
    *_cases(LABEL, "transaction_timestamp", TIMES),
    *_cases(LABEL, "timestamp", TIMES),
    *_cases(LABEL, "user_id", IDS),
    *_whole(LABEL),
)
USER_EVENTS: tuple[Case, ...] = (
    *_cases(VISIT, "event_type", '+ "click"\n+ "cart"\n- "purchase"\n- "look"\n- 1\n- null'),
    *_cases(VISIT, "purchase_id", '+ null\n- "p-1"\n- ""\n- 7'),
    *_cases(VISIT, "purchase_amount", "+ null\n- 19.9\n- 0"),
    *_cases(PURCHASE, "event_type", '+ "purchase"\n- "click"'),
    *_cases(PURCHASE, "purchase_id", '+ "p-2"\nd "p-2 "\n- null\n- 7'),
    *_cases(PURCHASE, "purchase_amount", '+ 0\n+ 19\n- -0.01\n- 1000000001\n- null\n- true\n- "19.9"'),
    *_cases(VISIT, "session_id", IDS),
    *_cases(VISIT, "page", LABELS),
    *_cases(VISIT, "timestamp", TIMES),
    *_whole(VISIT),
)
CASES: dict[str, tuple[Case, ...]] = {
    "transactions": TRANSACTIONS,
    "fraud-labels": FRAUD_LABELS,
    "user-events": USER_EVENTS,
}
"""By topic."""
