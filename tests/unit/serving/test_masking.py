"""Card tokens stay out of log lines, wherever in them they stand."""

from __future__ import annotations

import contextvars
import logging

import orjson
import pytest

from lamina.rules.tokens import mask_token
from serving.masking import REQUEST_ID, TOKENS, MaskingJsonFormatter, mask


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ('{"card_token": "card-ad773f96b5"}', '{"card_token": "***96b5"}'),
        ("{'card_token':'card-ad773f96b5'}", "{'card_token':'***96b5'}"),
        ("card_token=card-ad773f96b5&x=1", "card_token=***96b5&x=1"),
        ('{\\"card_token\\":\\"abcd\\"}', '{\\"card_token\\":\\"***\\"}'),
        ("CardToken: card-ad773f96b5", "CardToken: ***96b5"),
        ("paid with 4111 1111 1111 1111 today", "paid with ***1111 today"),
        ("paid with 4111-1111-1111-1111", "paid with ***1111"),
        ("378282246310005", "***0005"),
        ("paid with 4111.1111.1111.1111.", "paid with ***1111."),
        ("paid with 4111111111111111.", "paid with ***1111."),
        ("paid with 4111 - 1111 / 1111_1111", "paid with ***1111"),
        ("user customer-4111111111111111", "user customer-***1111"),
        ("timestamp 1735689649076 stays", "timestamp 1735689649076 stays"),
        ("0.12345678901234567 stays", "0.12345678901234567 stays"),
    ],
)
def test_mask(text: str, masked: str) -> None:
    assert mask(text) == masked


def test_short_tokens_show_nothing() -> None:
    assert mask_token("abcd") == "***"
    assert mask_token("123456789") == "***"
    assert mask_token("1234567890") == "***7890"


def _line(message: str, *args: object, error: BaseException | None = None) -> dict[str, str]:
    info = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord("serving", logging.ERROR, __file__, 1, message, args, info)
    found: dict[str, str] = orjson.loads(MaskingJsonFormatter().format(record))
    return found


def test_a_line_masks_arguments_tracebacks_and_the_tokens_of_its_request() -> None:
    def in_request() -> None:
        TOKENS.set(("wallet_77_secret",))
        REQUEST_ID.set("r-1")
        try:
            raise ValueError("cannot charge wallet_77_secret")
        except ValueError as error:
            line = _line("failed for %s", {"token": "wallet_77_secret"}, error=error)
        assert "wallet_77_secret" not in orjson.dumps(line).decode()
        assert "***cret" in line["message"] and "***cret" in line["traceback"]
        assert line["request_id"] == "r-1"

    contextvars.copy_context().run(in_request)
    assert "request_id" not in _line("outside")
