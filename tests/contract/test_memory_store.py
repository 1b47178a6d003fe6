from __future__ import annotations

import pytest

from lamina.store.memory import MemoryStore
from lamina.store.protocol import OnlineStore
from tests.contract.online_store import OnlineStoreContract


class TestMemoryStore(OnlineStoreContract):
    @pytest.fixture
    def store(self) -> OnlineStore:
        return MemoryStore()
