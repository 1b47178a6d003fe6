"""How long a broker is looked for; that topics are told apart is tried on a real one."""

from __future__ import annotations

from typing import Any, NoReturn

import kafka
import pytest
from kafka.errors import KafkaTimeoutError

from lamina.errors import StreamError
from lamina.streams.identity import LONGEST_S, identity_of


@pytest.mark.parametrize("within_s", [0.5, LONGEST_S])
def test_a_broker_is_looked_for_as_long_as_is_said(within_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def away(**options: Any) -> NoReturn:
        asked.append(options)
        raise KafkaTimeoutError("nobody")

    monkeypatch.setattr(kafka, "KafkaAdminClient", away)
    with pytest.raises(StreamError, match="topic t on here:1 cannot be looked up"):
        identity_of("here:1", "t", within_s)
    assert asked == [{"bootstrap_servers": "here:1", "bootstrap_timeout_ms": within_s * 1000}]
