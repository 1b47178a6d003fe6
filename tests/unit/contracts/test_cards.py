from __future__ import annotations

import random
import uuid

import orjson
import pytest

from lamina.contracts.cards import (
    holds_card_number,
    is_card_like,
    luhn_holds,
    mostly_cards,
    starred,
    without_separators,
)
from lamina.contracts.transactions import Transaction
from lamina.errors import ContractError
from tests.unit.contracts.test_ids import TRANSACTION

VISA, MASTERCARD, AMEX = "4111111111111111", "5555555555554444", "378282246310005"
SPELLINGS = ["{}", "card-{}", "card{}", "PAN_{}", "tok--{}", "{}-x", "u7_{}", "{}-2018-08-08", "{}EUR", "{}x"]
GROUPED = ["4111-1111-1111-1111", "4111_1111_1111_1111", "card-4111-1111-1111-1111", "4111--1111-11111111"]


@pytest.mark.parametrize("token", [*(s.format(VISA) for s in SPELLINGS), *GROUPED, "1" * 12, "9" * 19, f"{VISA}.0"])
def test_a_token_that_holds_a_card_number_is_refused_without_repeating_it(token: str) -> None:
    with pytest.raises(ContractError, match=r"card_token: .*card number") as raised:
        Transaction.from_json(orjson.dumps(TRANSACTION | {"card_token": token}))
    assert "1111" not in str(raised.value)


@pytest.mark.parametrize("token", ["1" * 11, "1" * 20, "12345678901a", "card-ad773f96b5", "2018-08-08", "tok-1-2-3"])
def test_other_tokens_are_taken(token: str) -> None:
    assert Transaction.from_json(orjson.dumps(TRANSACTION | {"card_token": token})).card_token == token


def test_hashes_and_uuids_are_no_card_numbers_whatever_their_digits() -> None:
    rng = random.Random(7)
    tokens = [f"card-{rng.getrandbits(96):024x}" for _ in range(20_000)]
    tokens += [str(uuid.UUID(int=rng.getrandbits(128))) for _ in range(20_000)]
    assert sum(map(holds_card_number, tokens)) == 0


@pytest.mark.parametrize("number", [VISA, MASTERCARD, AMEX, "6011111111111117", "3530111333300000", "2223003122003222"])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_numbers_of_networks_are_card_like_and_with_another_check_digit_are_not(number: str, spelling: str) -> None:
    assert is_card_like(spelling.format(number))
    other = number[:-1] + str((int(number[-1]) + 1) % 10)
    assert not luhn_holds(other)
    assert not is_card_like(spelling.format(other))


@pytest.mark.parametrize("text", ["1533686400000", "1111111111111117", "411111111111111", "4111", "", "u" * 16])
def test_other_lengths_and_first_digits_are_not_card_like(text: str) -> None:
    assert not is_card_like(text)


def test_long_numbers_are_mostly_no_cards() -> None:
    rng = random.Random(3)
    assert not mostly_cards(str(rng.randrange(4 * 10**15, 5 * 10**15)) for _ in range(500))
    assert not mostly_cards([])
    assert mostly_cards([VISA, MASTERCARD, "7"])


@pytest.mark.parametrize("text", [VISA, "4111 1111 1111 1111", "4111.1111.1111.1111", "4111 - 1111 / 1111_1111"])
def test_text_is_shown_with_four_digits_of_a_card_number(text: str) -> None:
    shown = starred(f"paid by {text}, thanks")
    assert shown == f"paid by {'*' * (len(text) - 4)}1111, thanks"


def test_a_number_beside_a_date_is_starred() -> None:
    assert VISA not in starred(f"2018-08-08 {VISA}")
    assert starred("2018-08-08 10:00") == "2018-08-08 10:00"


def test_numbers_with_decimals_are_no_card_numbers() -> None:
    rng = random.Random(5)
    numbers = [repr(rng.uniform(0, 99)) for _ in range(5000)] + [
        "0.4111111111111111",
        "38.520000023237",
        "4111.111111111111",
    ]
    text = ", ".join(numbers)
    assert not any(map(is_card_like, numbers)) and not is_card_like(text)
    assert starred(text) == text
    assert VISA[:-4] not in starred(f"{VISA}.0")
    assert is_card_like(f"{VISA}.0") and is_card_like("4111.1111.1111.1111")


def test_spellings_of_a_number_are_hashed_alike() -> None:
    spellings = (VISA, "4111 1111-1111.1111", f"'{VISA}", f'="{VISA}"', f"'{VISA}'")
    assert {without_separators(text) for text in spellings} == {VISA}
    assert without_separators("'card'") == "'card'"
    assert without_separators("2018-08-08") == "2018-08-08"


def _wide(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) for c in text)


UNUSUAL = [
    _wide(VISA),
    _wide("4111-1111-1111-1111"),
    "".join(chr(0x0660 + int(c)) for c in VISA),  # Arabic-Indic digits
    *(mark.join(["4111", "1111", "1111", "1111"]) for mark in "\u200b\u00ad\u2011\u2013\u202f\u2009\u2060\ufeff\u3000"),
    "\u200b".join(VISA),
]


@pytest.mark.parametrize("text", UNUSUAL)
def test_digits_of_other_scripts_and_marks_that_nobody_sees_hide_no_card_number(text: str) -> None:
    assert is_card_like(text) and holds_card_number(f"card-{text}")
    assert without_separators(text) == VISA
    shown = starred(f"paid by {text} at Café")
    assert without_separators(text[:-4]) not in without_separators(shown)
    assert shown == f"paid by {'*' * (len(text) - 4)}{text[-4:]} at Café"
    other = text[:-1] + chr(ord(text[-1]) + 1)
    assert not is_card_like(other)


@pytest.mark.parametrize("mark", [*"|:,;'*\u00b7\t", " | "])
def test_groups_are_a_card_number_whatever_stands_between_them(mark: str) -> None:
    text = mark.join(["4111", "1111", "1111", "1111"])
    assert is_card_like(text)
    assert starred(text) == "*" * (len(text) - 4) + "1111"
    assert not is_card_like(text[:-1] + "2")


@pytest.mark.parametrize(
    "text", ["2018-08-08 10:00:00.123", "10:00:00", "1,2,3,4,5,6,7,8,9,0,1,2", "40.75,-77.23", "\u0664"]
)
def test_times_and_lists_are_no_card_numbers(text: str) -> None:
    assert not is_card_like(text)
    assert starred(text) == text
