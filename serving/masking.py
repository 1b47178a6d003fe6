"""Keeping card tokens out of everything that is written for people: logs, tracebacks, error responses."""

from __future__ import annotations

import logging
import re
from contextvars import ContextVar
from datetime import UTC, datetime

import orjson

from lamina.contracts.cards import UNSEEN
from lamina.rules.tokens import mask_token

REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)
"""Id of the request that is being answered, for its log lines."""

TOKENS: ContextVar[tuple[str, ...]] = ContextVar("card_tokens", default=())
"""Card tokens of the request that is being answered: wherever a log line repeats one, it is masked."""

_NAMED = re.compile(r"""(card_?token["'\\]*\s*[:=]\s*["'\\]*)([A-Za-z0-9_\-]+)""", re.IGNORECASE)
# Points only between groups: a number may have decimals.
_CARD_NUMBER = re.compile(
    rf"(?<![\d.])(?:\d(?:[ \u00a0\-_/{UNSEEN}]{{0,3}}\d){{11,18}}|\d{{4}}(?:\.\d{{2,7}}){{2,4}})(?!\d|\.\d)"
)
_EPOCH_MS = re.compile(r"\d{13}")


def mask(text: str) -> str:
    """`text` without card tokens: those of the request being answered, those after the field's name, card numbers.

    >>> mask('{"card_token": "card-ad773f96b5"} 4111 1111 1111 1111')
    '{"card_token": "***96b5"} ***1111'
    """
    for token in TOKENS.get():
        text = text.replace(token, mask_token(token))
    text = _NAMED.sub(lambda found: found[1] + mask_token(found[2]), text)
    return _CARD_NUMBER.sub(_masked_number, text)


def _masked_number(found: re.Match[str]) -> str:
    # Times in epoch milliseconds have thirteen digits; cards of that length went out of use.
    return found[0] if _EPOCH_MS.fullmatch(found[0]) else mask_token(found[0])


class MaskingJsonFormatter(logging.Formatter):
    """One JSON object a line, masked after formatting, so that arguments and tracebacks are covered too."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line of JSON."""
        line: dict[str, str] = {
            "at": datetime.fromtimestamp(record.created, tz=UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": mask(record.getMessage()),
        }
        if request_id := REQUEST_ID.get():
            line["request_id"] = request_id
        if record.exc_info:
            line["traceback"] = mask(self.formatException(record.exc_info))
        return orjson.dumps(line).decode()


def log_json(level: int = logging.INFO) -> None:
    """Send every logger's records, uvicorn's among them, to stderr through the masking formatter."""
    handler = logging.StreamHandler()
    handler.setFormatter(MaskingJsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
