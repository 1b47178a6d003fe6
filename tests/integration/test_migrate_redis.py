"""A Redis that the version before has filled, recorded: read as it is, and what has another name now led over."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from redis import Redis

from lamina.clock import DAY_MS
from lamina.definitions import load
from lamina.migrations.label_versions import SPECS
from lamina.migrations.renamed_specs import renamed_specs
from lamina.semantics.plan import make_plan
from lamina.settings import ROOT
from lamina.store.blobs import THROUGH_SLICE
from lamina.store.protocol import BatchWrite
from lamina.store.reader import Reader
from lamina.store.redis import RedisStore

pytestmark = pytest.mark.services

RECORDED: dict[str, Any] = json.loads((ROOT / "tests" / "data" / "redis" / "labels-of-version-1.json").read_text())
PLAN = make_plan(load("fraud"))


@pytest.fixture
def filled(clean_redis: str) -> str:
    """URL of a Redis with what was recorded."""
    client = Redis.from_url(clean_redis)
    for key, kept in RECORDED["keys"].items():
        if "hash" in kept:
            client.hset(key, mapping={field: base64.b64decode(value) for field, value in kept["hash"].items()})
        else:
            client.set(key, base64.b64decode(kept["string"]))
        if kept["ttl_s"] > 0:
            client.expire(key, kept["ttl_s"])
    client.close()
    return clean_redis


def names(url: str) -> dict[str, dict[str, str]]:
    client: Any = Redis.from_url(url)
    found = {
        key.decode(): {f.decode(): base64.b64encode(v).decode() for f, v in client.hgetall(key).items()}
        for key in client.keys("*:*")
        if client.type(key) == b"hash"
    }
    client.close()
    return found


def differing(url: str) -> set[str]:
    """Features that are read otherwise than the version before has read them."""
    store, reader, found = RedisStore(url), Reader(PLAN), set()
    for answer in RECORDED["answers"]:
        read = reader.read(store, answer["request"], answer["at_ms"])
        assert sorted(read.stale) == answer["stale"]
        found |= {name for name, value in answer["values"].items() if read.values[name] != value}
    return found


def test_what_has_no_other_name_is_read_as_it_is(filled: str) -> None:
    """Keys, fields, tiles, blobs, how far the layers are complete, and up to where the sink has read."""
    changed = differing(filled)
    assert changed
    told = {n for n in changed if "fraud" in n or "report" in n}
    assert changed == told, "features of labels alone"
    assert dict(RedisStore(filled).begin("feature-tiles", "sink-1")) == {0: 41, 1: 7}


def test_names_of_today_come_beside_the_old_ones(filled: str) -> None:
    (task,) = renamed_specs(filled, "merchant", SPECS, same=True)
    assert task.what.startswith("write tiles and blobs of 4 of entity merchant under the names of today")
    task.apply()
    assert differing(filled) == set()
    assert renamed_specs(filled, "merchant", SPECS, same=True) == []
    now = names(filled)
    for key, kept in RECORDED["keys"].items():
        # A process of the version before reads on.
        assert kept.get("hash", {}).items() <= now.get(key, {}).items()
    client = Redis.from_url(filled)
    assert 0 < client.ttl("merchant:m2") <= RECORDED["keys"]["merchant:m2"]["ttl_s"]
    client.close()


def test_what_stands_under_a_name_of_today_is_not_replaced(filled: str) -> None:
    own = BatchWrite("merchant:m0", {next(iter(SPECS.values())): b"LMT3" + b"9" * 13})
    RedisStore(filled).publish([own])
    for task in renamed_specs(filled, "merchant", SPECS, same=True):
        task.apply()
    found = names(filled)["merchant_batch:m0"]
    assert base64.b64decode(found[next(iter(SPECS.values()))]) == b"LMT3" + b"9" * 13


def test_where_they_do_not_hold_the_same_nothing_gets_another_name(filled: str) -> None:
    assert renamed_specs(filled, "merchant", SPECS, same=False) == []


def test_old_names_go_once_a_later_day_was_published(filled: str) -> None:
    (task,) = renamed_specs(filled, "merchant", SPECS, same=True)
    task.apply()
    store, now = RedisStore(filled), names(filled)
    for key, kept in now.items():
        if not key.startswith("merchant_batch:"):
            continue
        later = {}
        for spec in SPECS.values():
            if spec in kept:
                blob = base64.b64decode(kept[spec])
                through = int(blob[THROUGH_SLICE]) + DAY_MS
                later[spec] = blob[:4] + f"{through:013d}".encode() + blob[17:]
        store.publish([BatchWrite(key.replace("_batch", ""), later)])
    (task,) = renamed_specs(filled, "merchant", SPECS, same=True)
    assert task.what.startswith("remove tiles and blobs of 4 of entity merchant under old names")
    task.apply()
    left = [field for fields in names(filled).values() for field in fields if field.partition("/")[0] in SPECS]
    assert left == []
    assert renamed_specs(filled, "merchant", SPECS, same=True) == []
