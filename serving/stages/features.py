"""The features of requests, in one round trip to the online store, within its time or not at all. Hot path."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from lamina.errors import CodecError, StoreUnavailable
from lamina.store.protocol import Command, ReadKey, Snapshot
from lamina.store.reader import FeatureVector, Reader
from serving.stages.breaker import Breaker

log = logging.getLogger(__name__)

FAILURES_IN_A_ROW = 3
FAILING_FOR_S = 0.5
REST_S = 0.25


class AsyncStore(Protocol):
    """The read side of an online store for an event loop."""

    async def read(self, keys: Sequence[ReadKey], also: Sequence[Command] = ()) -> Snapshot:
        """What is stored of `keys`, in one round trip with the answers to `also`. Raises: StoreUnavailable."""

    async def ping(self) -> None:
        """Return when the store answers. Raises: StoreUnavailable."""

    async def close(self) -> None:
        """Close every connection."""


@dataclass
class Found(Snapshot):
    """What the store holds for one request, and the reader that asked for it and knows what it means."""

    reader: Reader | None = None


class FeatureStage:
    """Reads features; answers `StoreUnavailable` within `timeout_ms`, and at once when it fails all the time."""

    def __init__(self, store: AsyncStore, reader: Reader, *, timeout_ms: int) -> None:
        self._store, self._reader = store, reader
        self._timeout_s = timeout_ms / 1000
        self.breaker = Breaker(failures=FAILURES_IN_A_ROW, over_s=FAILING_FOR_S, rest_s=REST_S)

    @property
    def reader(self) -> Reader:
        """What it reads with now."""
        return self._reader

    def use(self, reader: Reader) -> None:
        """Read with another reader from now on; what is under way is finished with the one that began it."""
        self._reader = reader

    async def read_each(
        self,
        requests: Sequence[Mapping[str, object]],
        at_ms: Sequence[int] | None = None,
        also: Sequence[Command] = (),
    ) -> list[Snapshot]:
        """What the store holds of the entities that each of `requests` names, all from one round trip.

        Args: at_ms: the time that the features of each are for; without them every tile of a busy entity is read. also:
        as many commands a request, which go along.

        Raises: StoreUnavailable: the store did not answer in time, or has not for a while.
        """
        reader = self._reader
        times: Sequence[int | None] = at_ms or [None] * len(requests)
        keys = [key for one in zip(requests, times, strict=True) for key in reader.keys(*one)]
        snapshot = await self.read_keys(keys, also)
        width = len(reader.plan.features.entities)
        along = len(also) // len(requests) if requests else 0
        return [
            Found(
                snapshot.replies[i * width : (i + 1) * width],
                snapshot.batch_end_ms,
                snapshot.also[i * along : (i + 1) * along],
                reader,
            )
            for i in range(len(requests))
        ]

    async def read_keys(self, keys: Sequence[ReadKey], also: Sequence[Command] = ()) -> Snapshot:
        """What the store holds of `keys`, in one round trip with the answers to `also`.

        Raises: StoreUnavailable: as `read_each`.
        """
        if not self.breaker.may_try():
            raise StoreUnavailable("Redis has not answered for half a second and more: the next try is soon")
        try:
            async with asyncio.timeout(self._timeout_s):
                snapshot = await (self._store.read(keys, also) if also else self._store.read(keys))
        except TimeoutError:
            self.breaker.failed()
            raise StoreUnavailable(f"Redis did not answer in {self._timeout_s * 1000:.0f} ms") from None
        except StoreUnavailable:
            self.breaker.failed()
            raise
        self.breaker.succeeded()
        return snapshot

    def vector(self, snapshot: Snapshot, request: Mapping[str, object], at_ms: int) -> FeatureVector | None:
        """The features of `request` at `at_ms`, from what was read of it.

        None where what is stored cannot be read by this version.
        """
        try:
            reader = (snapshot.reader if isinstance(snapshot, Found) else None) or self._reader
            return reader.vector(snapshot, request, at_ms)
        except CodecError as error:
            log.error("features cannot be used: %s", error)
            return None

    async def check(self) -> str | None:
        """What is wrong with the store, or None."""
        try:
            async with asyncio.timeout(self._timeout_s * 4):
                await self._store.ping()
        except (StoreUnavailable, TimeoutError) as error:
            return str(error) or "no answer in time"
        return None

    async def close(self) -> None:
        """Close the store's connections."""
        await self._store.close()
