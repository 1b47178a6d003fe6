"""Of whom a store holds anything, for every store alike."""

from __future__ import annotations

import pytest

from lamina.store.memory import MemoryStore
from lamina.store.protocol import BatchWrite, Listing, OnlineStore
from lamina.store.redis import RedisStore
from lamina.store.redis_listing import RedisListing
from tests.contract.online_store import NOON, TILE_SPEC, blob, tile

Stores = tuple[OnlineStore, Listing]


@pytest.fixture(params=["memory", "redis"])
def stores(request: pytest.FixtureRequest) -> Stores:
    if request.param == "memory":
        store = MemoryStore()
        return store, store
    url = request.getfixturevalue("clean_redis")
    return RedisStore(url), RedisListing(url)


def test_all_are_listed_by_whichever_layer_has_them(stores: Stores) -> None:
    store, listing = stores
    assert list(listing.ids("user")) == []
    store.write_tiles([tile(1, key="user:young"), tile(1, key="user:both"), tile(1, key="users:other")])
    store.publish([BatchWrite(f"user:{id_}", {TILE_SPEC: blob(NOON)}) for id_ in ("both", "old:one")])
    assert sorted(listing.ids("user")) == ["both", "both", "old:one", "young"]
    assert list(listing.ids("use")) == []
