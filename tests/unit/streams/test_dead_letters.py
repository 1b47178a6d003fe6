from __future__ import annotations

import base64

import pytest

from lamina.contracts.decisions import DeadLetter
from lamina.contracts.topics import FEATURE_TILES, TOPICS
from lamina.errors import StreamError
from lamina.streams.dead_letters import make_letter
from lamina.streams.topics import CONTRACTS, contract_of


@pytest.mark.parametrize("raw", [b"{broken", b"\xff\x00", b"", None])
def test_a_letter_gives_the_bytes_back(raw: bytes | None) -> None:
    letter = make_letter("transactions", 1, 2, "reason", raw, 1_533_686_400_000)
    assert base64.b64decode(DeadLetter.from_json(letter.to_json()).raw) == (raw or b"")


def test_every_topic_but_the_tiles_has_a_contract() -> None:
    assert set(CONTRACTS) == {t.name for t in TOPICS} - {FEATURE_TILES}
    with pytest.raises(StreamError, match="feature-tiles"):
        contract_of(FEATURE_TILES)
