"""A table of all items in this process: read again every few seconds, beside the requests that look candidates up."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from lamina.clock import Clock
from lamina.store.among import AmongReader
from lamina.store.held import Held, key_of
from lamina.store.known import Own
from lamina.store.protocol import EntityReply, Listing, OnlineStore
from lamina.store.reader import Reader

TOGETHER = 200
"""Entities in one round trip; Redis answers nobody else meanwhile."""


@dataclass(frozen=True)
class Items:
    """What is held of every entity that a candidate names, in the order of `reader.items`, for its features."""

    reader: AmongReader
    held: Sequence[Held]

    @property
    def read_ms(self) -> int:
        """When the first of it was asked for, epoch ms."""
        return min(held.read_ms for held in self.held)

    def of(self, entity: str) -> Held:
        """What is held of one kind of entity."""
        return next(held for held in self.held if held.own.entity.name == entity)


class ItemTable:
    """Keeps `items` at what the store holds. A request takes the pointer once: nothing in it changes.

    Args: keys: the columns of a request that are a candidate's own ids; reader: gives what is read now; store, listing:
    what holds the items and says which there are; clock: epoch ms.
    """

    def __init__(
        self,
        keys: Collection[str],
        reader: Callable[[], Reader],
        store: OnlineStore,
        listing: Listing,
        clock: Clock,
    ) -> None:
        self._reader, self._store, self._listing, self._clock = reader, store, listing, clock
        self._keys = frozenset(keys)
        self._among = AmongReader(reader(), self._keys)
        self.items: Items | None = None

    def among(self) -> AmongReader:
        """What makes features now: of the items, once they were read again after a change of the features."""
        reader = self._reader()
        if self._among.reader is not reader:
            self._among = AmongReader(reader, self._keys)
        return self._among

    def refresh(self, digest: Callable[[Items], None] = lambda items: None) -> Items:
        """Read everything, and take it into use once all is there.

        Args: digest: is given what was read before it is in use.
        Raises: StoreUnavailable: the store does not answer; CodecError: stored bytes cannot be read; what `digest`
        raises. What is in use stays.
        """
        among = self.among()
        found = Items(among, [self._read(own) for own in among.items])
        digest(found)
        self.items = found
        return found

    def age_s(self) -> float:
        """For how long what is in use has not been read; infinite where there is nothing."""
        return float("inf") if self.items is None else max(0, self._clock() - self.items.read_ms) / 1000

    def _read(self, own: Own) -> Held:
        began_ms = self._clock()
        ids = sorted(set(self._listing.ids(own.entity.name)))
        replies: list[EntityReply] = []
        batch_end_ms: dict[str, int] = {}
        for begin in range(0, len(ids), TOGETHER):
            found = self._store.read([key_of(own, id_) for id_ in ids[begin : begin + TOGETHER]])
            replies += found.replies
            # Of several reads the first knows least.
            batch_end_ms = {**found.batch_end_ms, **batch_end_ms}
        return Held.of(own, ids, replies, batch_end_ms, began_ms)
