"""What is secret in the events that clients send."""

from __future__ import annotations

import pytest
from pydantic import Field

from lamina.contracts.base import Event
from serving.checks import secrets_of
from serving.masking import TOKENS, mask


class Visit(Event):
    """An event whose secret may be left out."""

    voucher: str | None = Field(None, repr=False)


@pytest.mark.parametrize("voucher", [None, ""])
def test_a_secret_that_was_left_out_leaves_log_lines_as_they_are(voucher: str | None) -> None:
    found = secrets_of([Visit(voucher=voucher), Visit(voucher="voucher-1")])
    assert found == ("voucher-1",)
    before = TOKENS.set(found)
    assert mask("voucher-1 was refused") == "*** was refused"
    TOKENS.reset(before)
