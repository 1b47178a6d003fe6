from __future__ import annotations

from collections.abc import Iterator

import pytest

from lamina.indexes import shard


@pytest.fixture(scope="package", autouse=True)
def _small_shards_have_lists() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shard, "WHOLE", 1000)
        yield
