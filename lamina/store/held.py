"""What the store holds of many entities of one kind, kept in this process: what candidates are looked up in.

A request that ranks a thousand videos cannot read each of them anew. They are read beside the requests, every few
seconds (`lamina.store.table`), and each request answers from what is here for its own time: only what happened since is
missing, and `read_ms` says since when.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lamina.store.known import Known, Own
from lamina.store.protocol import EntityReply, ReadKey
from lamina.store.sheet import Ints, Sheet


@dataclass(frozen=True)
class Held:
    """Entities of one kind. Nothing in it changes.

    known: what was read of each, and behind them one of whom nothing is known, which stands for all others. places: of
    ids in `known`. sheets: the same tiles, all entities together, by `TileSpec.key`. batch_end_ms: as
    `Snapshot.batch_end_ms`. read_ms: when the first of them was asked for, epoch ms.
    """

    own: Own
    known: Sequence[Known]
    places: Mapping[str, int]
    sheets: Mapping[str, Sheet]
    batch_end_ms: Mapping[str, int]
    read_ms: int

    @classmethod
    def of(
        cls,
        own: Own,
        ids: Sequence[str],
        replies: Iterable[EntityReply],
        batch_end_ms: Mapping[str, int],
        read_ms: int,
    ) -> Held:
        """What `replies` say of `ids`, in the same order.

        Raises: CodecError: when stored bytes cannot be read.
        """
        known = [own.known(reply) for reply in (*replies, EntityReply())]
        owner = np.arange(len(known))
        sheets = {
            t.key: Sheet(t, [each.batch.get(t.key) for each in known], [each.speed.get(t.key) for each in known], owner)
            for t in own.tile_specs
        }
        return cls(own, known, {id_: at for at, id_ in enumerate(ids)}, sheets, batch_end_ms, read_ms)

    def __len__(self) -> int:
        """How many there are."""
        return len(self.places)

    def at(self, ids: Iterable[str]) -> Ints:
        """int64[n]: the places of `ids` in `known`."""
        unknown, place = len(self.places), self.places.get
        return np.array([place(id_, unknown) for id_ in ids], np.int64)


def key_of(own: Own, id_: str) -> ReadKey:
    """What is read of one entity to be kept: every tile, as nobody knows yet when it is asked about."""
    return ReadKey(own.entity.name, id_, own.ids, bool(own.speed))
