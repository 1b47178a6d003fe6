"""Sending events to Kafka at the pace of people: feedback, replays, tests. Serving has a faster producer of its own."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from lamina.contracts.base import Event
from lamina.contracts.topics import LETTER_BYTES
from lamina.errors import MessageRefused, StreamError

CLOSE_TIMEOUT_S = 30


def key_of(event: Event) -> bytes | None:
    """The message key of an event, where it has one."""
    return None if event.key is None else event.key.encode()


class EventProducer:
    """Sends events as JSON, keyed by user, and loses none silently: `flush` raises when one was not acknowledged.

    `with EventProducer(bootstrap) as producer: producer.send("transactions", event)` has sent everything at its end.

    Args: one_by_one: each message in a request of its own, so that one that is refused takes no other along; slower.
    """

    def __init__(self, bootstrap: str, prefix: str = "", *, one_by_one: bool = False) -> None:
        self.bootstrap, self.prefix, self._one_by_one = bootstrap, prefix, one_by_one
        self._client: Any = None
        self._failures: list[BaseException] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.flush()
        finally:
            self.close()

    def send(self, topic: str, event: Event) -> None:
        """Queue `event` for `topic` (named without prefix), keyed as it says."""
        self.send_bytes(topic, key_of(event), event.to_json())

    def send_bytes(self, topic: str, key: bytes | None, value: bytes) -> None:
        """Queue raw bytes.

        Raises: MessageRefused: they are too many for one message, which holds up no other; StreamError: when the
        broker cannot be reached.
        """
        from kafka.errors import KafkaError

        try:
            self._producer().send(self.prefix + topic, value=value, key=key).add_errback(self._failures.append)
        except KafkaError as error:
            if _is_final(error):
                raise MessageRefused(
                    f"{self.prefix + topic} takes no message of {len(value)} bytes: {error}"
                ) from error
            raise StreamError(f"{self.prefix + topic} on {self.bootstrap} takes no message: {error}") from error

    def flush(self) -> None:
        """Wait until everything queued is acknowledged by the broker.

        Raises: MessageRefused: all were, but for some that the broker will never take; StreamError: when at least one
        message was not; nothing is known of the others.
        """
        from kafka.errors import KafkaError

        if self._client is None:
            return
        try:
            self._client.flush()
        except KafkaError as error:
            raise StreamError(f"messages for {self.bootstrap} were not acknowledged: {error}") from error
        if self._failures:
            failures, self._failures = self._failures, []
            if all(_is_final(failure) for failure in failures):
                raise MessageRefused(
                    f"{self.bootstrap} refuses {len(failures)} messages for what they are, the first: {failures[0]}. "
                    "All others are acknowledged",
                    len(failures),
                )
            raise StreamError(
                f"{len(failures)} messages for {self.bootstrap} were not acknowledged, the first: {failures[0]}"
            )

    def close(self) -> None:
        """Close the connection; what is not acknowledged by now may be lost, so call `flush` before."""
        if self._client is not None:
            self._client.close(timeout=CLOSE_TIMEOUT_S)
            self._client = None

    def _producer(self) -> Any:
        if self._client is None:
            from kafka import KafkaProducer
            from kafka.errors import KafkaError

            more: dict[str, Any] = {}
            if self._one_by_one:
                # An idempotent producer ends at the first refusal. In order all the same: one request at a time.
                more = {"batch_size": 0, "enable_idempotence": False, "max_in_flight_requests_per_connection": 1}
                more["max_request_size"] = LETTER_BYTES
            try:
                self._client = KafkaProducer(bootstrap_servers=self.bootstrap, acks="all", linger_ms=5, **more)
            except (KafkaError, OSError) as error:
                raise StreamError(f"Kafka at {self.bootstrap} does not answer ({error}): see `make status`") from error
        return self._client


def _is_final(error: BaseException) -> bool:
    """Whether the broker, or the client before it, will never take a message."""
    from kafka import errors

    return isinstance(
        error,
        (
            errors.MessageSizeTooLargeError,
            errors.RecordListTooLargeError,
            errors.InvalidRecordError,
            errors.InvalidTimestampError,
        ),
    )
