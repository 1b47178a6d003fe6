from __future__ import annotations

import pytest

from lamina.errors import WritesLost
from lamina.store.memory import MemoryStore
from lamina.store.protocol import OnlineStore, WriteSequence
from tests.contract.online_store import OnlineStoreContract, tile


class TestMemoryStore(OnlineStoreContract):
    @pytest.fixture
    def store(self) -> OnlineStore:
        return MemoryStore()

    def test_the_write_that_is_missing_is_named(self, store: OnlineStore) -> None:
        store.begin("log", "w")
        with pytest.raises(WritesLost, match="write 1 of w is not there"):
            store.write_tiles([tile(1)], WriteSequence("w", 2))
