"""The patterns that the stream checks messages by say what the contract says, field by field."""

from __future__ import annotations

import json
import random
import re
from decimal import Decimal
from typing import Annotated, Any, Literal

import orjson
import pytest
from pydantic import Field

from jobs.flink.forms import CARD_NUMBER, DIGITS, HALF_PAIR, UUID, Forms
from lamina.catalog import CONTRACTS
from lamina.contracts.base import Event, Label, Number
from lamina.contracts.cards import holds_card_number
from lamina.errors import ContractError, DefinitionError
from tests.values import CASES, Case

FORMS = {topic: Forms.of(CONTRACTS[topic]) for topic in CASES}
# Whether these are right is seen by their columns: numbers by their value, tokens by what digits they hold.
BY_VALUE = {
    "amount",
    "purchase_amount",
    "timestamp",
    "transaction_timestamp",
    "card_token",
    "location",
    "event_type",
    "purchase_id",
}


def rewritten(raw: bytes, names: list[str]) -> str:
    """What Flink's `JSON_QUERY` makes of a message: fields by name, no blanks, numbers as decimals."""
    found = json.loads(raw.decode(), parse_float=Decimal, parse_int=Decimal, parse_constant=_refused)

    def written(value: Any) -> str:
        if isinstance(value, dict):
            return "{" + ",".join(f"{json.dumps(k)}:{written(v)}" for k, v in sorted(value.items())) + "}"
        if isinstance(value, list):
            return "[" + ",".join(map(written, value)) + "]"
        return str(value) if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False)

    return written({k: found[k] for k in names if k in found})


def _refused(constant: str) -> None:
    raise ValueError(constant)


def python(pattern: str) -> str:
    """Java's pattern as Python has it."""
    return pattern.replace(r"\z", r"\Z")


@pytest.mark.parametrize(("topic", "case"), [(t, c) for t, cases in CASES.items() for c in cases], ids=str)
def test_the_patterns_say_what_the_contract_says(topic: str, case: Case) -> None:
    forms = FORMS[topic]
    try:
        text = rewritten(case.raw, [f.name for f in forms.fields])
    except (ValueError, AttributeError, TypeError):
        assert not case.topic, "what is no JSON object keeps no contract"
        return
    half = re.search(HALF_PAIR, case.raw.decode())
    fits = re.search(python(forms.loose), text) is not None and not half
    if case.topic or case.field not in BY_VALUE:
        assert fits == case.topic
    exact = re.search(python(forms.exact), text) is not None and not half
    assert fits or not exact
    wrong = re.findall(python(forms.wrong), text)
    if fits:
        assert not wrong
        assert exact or (
            case.field == "location" and not (case.topic and b"_m" not in case.json and b"more" not in case.json)
        )
    elif not half and case.json:
        assert wrong == [case.field]


@pytest.mark.parametrize(("topic", "case"), [(t, c) for t, cases in CASES.items() for c in cases], ids=str)
def test_what_the_contract_writes_is_told_at_first_sight(topic: str, case: Case) -> None:
    """And nothing that breaks it, but for what columns say."""
    contract, written = CONTRACTS[topic], python(FORMS[topic].written)
    if re.search(written, case.raw.decode(errors="replace")):
        assert case.topic or case.field in BY_VALUE
        assert re.search(python(FORMS[topic].loose), rewritten(case.raw, [f.name for f in FORMS[topic].fields]))
        assert not re.search(HALF_PAIR, case.raw.decode())
    try:
        own = contract.from_json(case.raw).to_json().decode()
    except ContractError:
        return
    assert re.search(written, own) or "\\u" in own or re.search(DIGITS, json.loads(own).get("card_token", ""))


@pytest.mark.parametrize("damage", [",}", ",,", "1.", "01", "1e", "{}", '"', "}}", "\n"])
def test_what_is_no_json_is_not_told_at_first_sight(damage: str) -> None:
    contract, written = CONTRACTS["transactions"], python(FORMS["transactions"].written)
    own = contract.from_json(next(c.raw for c in CASES["transactions"] if c.topic)).to_json().decode()
    assert re.search(written, own)
    for at in range(len(own) + 1):
        broken = own[:at] + damage + own[at:]
        if re.search(written, broken):
            json.loads(broken)


def test_many_objects_are_not_looked_into_again_and_again() -> None:
    """A message on a topic may be anything: quadratic, this one would hold the stream up for minutes."""
    inner = ",".join('{"location":{}}' for _ in range(60_000))
    text = f'{{"amount":1,"location":{{"a":[{inner}]}},"timestamp":true}}'
    assert re.findall(python(FORMS["transactions"].wrong), text) == ["timestamp"]


@pytest.mark.parametrize("seed", range(4))
def test_card_numbers_are_found_as_the_contract_finds_them(seed: int) -> None:
    rng, found = random.Random(seed), 0
    pieces = [
        "-",
        "_",
        "--",
        "----",
        "a",
        "card",
        "0",
        "12",
        "4000",
        "400000123456",
        "4546913736785082",
        "-",
        "e4",
        "x",
        "v2",
    ]
    uuid = "123e4567-e89b-12d3-a456-426614174000"
    for _ in range(20_000):
        token = "".join(rng.choice([*pieces, uuid] if rng.random() < 0.1 else pieces) for _ in range(rng.randint(1, 9)))
        has = re.search(CARD_NUMBER, re.sub(UUID, "x", token)) is not None
        assert has == holds_card_number(token), token
        assert not has or re.search(DIGITS, token), "so many digits are looked for first"
        found += has
    assert 1_000 < found < 19_000


class Tagged(Event):
    """Lists of what may stand in one."""

    tags: Annotated[list[Label], Field(max_length=3)]
    sizes: Annotated[list[Number], Field(min_length=1)] | None
    kinds: list[Literal["car", "bike"]]


TAGGED: dict[str, Any] = {"tags": ["a b", "c"], "sizes": [1.5, -2], "kinds": ["car"]}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tags": []},
        {"tags": ["a", "b", "c"]},
        {"tags": ["a", "b", "c", "d"]},
        {"tags": ['say "a"']},
        {"tags": [""]},
        {"tags": ["x" * 65]},
        {"tags": ["a\n"]},
        {"tags": [1]},
        {"tags": [None]},
        {"tags": "a"},
        {"tags": None},
        {"tags": [["a"]]},
        {"sizes": None},
        {"sizes": []},
        {"sizes": [0]},
        {"sizes": [1.5] * 40},
        {"sizes": ["1"]},
        {"kinds": ["car", "bike", "car"]},
        {"kinds": ["car", "boat"]},
    ],
    ids=str,
)
def test_lists_are_held_to_what_the_contract_says_of_them(changes: dict[str, Any]) -> None:
    forms, raw = Forms.of(Tagged), orjson.dumps(TAGGED | changes)
    try:
        Tagged.from_json(raw)
        kept = True
    except ContractError:
        kept = False
    assert bool(re.search(python(forms.written), raw.decode())) == kept
    text = rewritten(raw, [f.name for f in forms.fields])
    assert bool(re.search(python(forms.exact), text)) == kept
    assert re.findall(python(forms.wrong), text) == [name for name in changes if not kept]


class Nested(Event):
    """A list of what the stream does not look into."""

    tagged: list[Tagged]


def test_a_list_of_objects_is_refused_by_its_name() -> None:
    with pytest.raises(DefinitionError, match="tagged: a list of what is no text"):
        _ = Forms.of(Nested).written
