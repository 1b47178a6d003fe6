from __future__ import annotations

import base64
import re

import pytest

from lamina.catalog import CONTRACTS, TOPICS
from lamina.contracts.cards import IS_CARD_NUMBER
from lamina.contracts.dead_letters import DeadLetter
from lamina.contracts.topics import FEATURE_TILES
from lamina.contracts.transactions import Transaction
from lamina.errors import ContractError, StreamError
from lamina.streams.dead_letters import MASKED, make_letter
from lamina.streams.topics import contract_of


@pytest.mark.parametrize("raw", [b"{broken", b"\xff\x00", b"", None])
def test_a_letter_gives_the_bytes_back(raw: bytes | None) -> None:
    letter = make_letter("transactions", 1, 2, "reason", raw, 1_533_686_400_000)
    assert base64.b64decode(DeadLetter.from_json(letter.to_json()).raw) == (raw or b"")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (
            b'{"card_token": "4000-0012-3456-7890", "amount": 1}',
            "Transaction.card_token: Value error, " + IS_CARD_NUMBER,
        ),
        (b'{"user_id": "customer-4111111111111111", "amount": "much"}', "Transaction.amount: not a number"),
        (b"4111 1111 1111 1111", "not JSON"),
    ],
)
def test_a_letter_holds_no_card_number_and_is_never_sent_again(raw: bytes, reason: str) -> None:
    letter = make_letter("transactions", 1, 2, reason, raw, 1_533_686_400_000)
    kept = base64.b64decode(letter.raw)
    assert not re.search(rb"(\d[ -]?){12}", kept)
    assert kept.startswith(MASKED)
    with pytest.raises(ContractError):
        Transaction.from_json(kept)


@pytest.mark.parametrize(
    "raw", [b'{"user_id": "4111111111111112", "timestamp": 1533686400000}', b"1" * 16, b"\xff" * 20]
)
def test_long_numbers_that_are_no_cards_stay(raw: bytes) -> None:
    assert base64.b64decode(make_letter("transactions", 1, 2, "amount: is missing", raw, 1_533_686_400_000).raw) == raw


def test_every_topic_but_the_tiles_has_a_contract() -> None:
    assert set(CONTRACTS) == {t.name for t in TOPICS} - {FEATURE_TILES}
    with pytest.raises(StreamError, match="feature-tiles"):
        contract_of(FEATURE_TILES)
