"""Everything that carries a feature is killed while events arrive; afterwards none is lost and none counted twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.fire.arena import EMPTIED_REDIS, KAFKA, REDIS, SINK, STREAM_JOB, TASK_MANAGER, VICTIMS, Arena

pytestmark = [pytest.mark.services, pytest.mark.slow]
ROUNDS = ((SINK, REDIS, TASK_MANAGER), (KAFKA, EMPTIED_REDIS, STREAM_JOB))


def test_a_recount_finds_no_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Arena(tmp_path, seed=3, rate=60, users=100) as arena:
        for victims in ROUNDS:
            arena.kill(victims)
        found = arena.recount()
    with capsys.disabled():
        Console().print(
            f"killed {dict(arena.killed)}; {len(arena.load.acknowledged)} events sent, {found.tiles} tiles and "
            f"{found.features} features compared, {found.total} differences"
        )
    assert found.total == 0, found.examples
    assert (found.lost, found.doubled) == (0, 0)
    assert set(arena.killed) == set(VICTIMS)
    assert min(arena.load.kinds[kind] for kind in ("duplicate", "late", "skewed", "poison")) > 0
    assert found.tiles > len(arena.load.acknowledged) / 4
    assert found.features > 1000
