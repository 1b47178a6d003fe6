"""The shelf: what is published, in the orders that sources take from, as the store holds it."""

from __future__ import annotations

import numpy as np

from benchmarks.tiles import speed_writes
from lamina.clock import DAY_MS
from lamina.definitions.recommendation import FEATURES
from lamina.semantics.plan import make_plan
from lamina.store.memory import MemoryStore
from lamina.store.reader import Reader
from lamina.store.table import ItemTable
from serving.systems.recommendation.shelf import Shelf, Video

NOW = 1_760_000_000_000
HOUR_MS = DAY_MS // 24


def upload(id_: str, channel: str, age_h: int, **changes: object) -> dict[str, object]:
    return {
        "event_id": f"u-{id_}-{age_h}",
        "video_id": id_,
        "channel_id": channel,
        "category": "music",
        "tags": "",
        "duration_s": 60.0,
        "quality": 720,
        "content_rating": "general",
        "status": "published",
        "timestamp": NOW - age_h * HOUR_MS,
    } | changes


def watches(id_: str, n: int, age_h: int = 1) -> list[dict[str, object]]:
    return [
        {
            "event_id": f"w-{id_}-{i}",
            "viewer_id": f"viewer-{i}",
            "video_id": id_,
            "channel_id": "c",
            "category": "music",
            "seconds": 10.0,
            "share": 0.5,
            "liked": False,
            "day_part": "night",
            "timestamp": NOW - age_h * HOUR_MS - i,
        }
        for i in range(n)
    ]


def made(uploads: list[dict[str, object]], watched: list[dict[str, object]] | None = None) -> Shelf:
    store, plan = MemoryStore(), make_plan(FEATURES)
    store.write_tiles(speed_writes(plan.speed, {"video_uploads": uploads, "video_watches": watched or []}, 0))
    reader = Reader(plan)
    table = ItemTable({"video_id", "channel_id"}, lambda: reader, store, store, lambda: NOW)
    return Shelf.of(table.refresh(), NOW)


def test_what_the_store_holds_is_read_into_every_order() -> None:
    found = made(
        [
            upload("a", "x", 40, category="news"),
            upload("b", "x", 30),
            upload("c", "x", 20, content_rating="sensitive"),
            upload("d", "y", 10),
            upload("e", "y", 9),
            upload("e", "y", 1, status="removed"),
        ],
        [*watches("a", 3), *watches("b", 5, age_h=24), *watches("c", 2)],
    )
    assert found.videos == {
        "a": Video("a", "x", "news", False),
        "b": Video("b", "x", "music", False),
        "c": Video("c", "x", "music", True),
        "d": Video("d", "y", "music", False),
    }
    # Five watches of yesterday are less than one of the last hour.
    assert found.trending == ["a", "c", "b", "d"]
    assert found.by_category == {"news": ["a"], "music": ["c", "b", "d"]}
    # The newest, the most watched, the next newest.
    assert found.by_channel == {"x": ["c", "b", "a"], "y": ["d"]}
    assert found.pools == {"fresh": ["d", "b", "a"], "untried": ["d", "b", "a"]}


def test_an_empty_store_is_an_empty_shelf() -> None:
    assert made([]) == Shelf({}, [], {}, {}, {"fresh": (), "untried": ()})


def test_orders_end_where_nobody_looks_and_pools_have_what_was_shown_least() -> None:
    n = 1200
    ids = [f"v{i:04d}" for i in range(n)]
    numbers = np.arange(n, dtype=np.float64)
    texts = {
        name: np.array([value] * n, object)
        for name, value in {
            "video_channel": "x",
            "video_category": "music",
            "video_content_rating": "general",
            "video_status": "published",
        }.items()
    }
    shown = np.where(numbers % 2 == 0, 0.0, numbers)
    found = Shelf.from_columns(
        ids,
        {
            **texts,
            "uploaded_timestamp": numbers,
            "trending_score": np.full(n, np.nan),
            "video_view_count_30d": -numbers,
            "video_shown_7d": shown,
        },
    )
    assert (len(found.trending), len(found.by_category["music"]), len(found.by_channel["x"])) == (1000, 200, 20)
    assert found.trending[:2] == ["v0000", "v0001"]
    assert found.by_channel["x"][:4] == ["v1199", "v0000", "v1198", "v0001"]
    assert found.pools["fresh"] == ids[:-101:-1]
    assert found.pools["untried"] == ids[1198:998:-2]
