"""Tile specs that are called otherwise now and hold the same: what Redis keeps of them, under both names for a while.

Values get their new name beside the old one, so that processes of both versions read them. Old names go from an entity
once the batch layer has published a later day under the new ones: by then nobody writes the old ones any more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any, cast

import redis
from redis.exceptions import RedisError

from lamina.migrations.step import Task
from lamina.store.blobs import THROUGH_SLICE
from lamina.store.protocol import BatchWrite, TileWrite, batch_key, speed_key
from lamina.store.redis import RedisStore, unavailable

AT_ONCE = 500
Names = Mapping[str, str]
"""Of tile specs: what they are called now, by what they were called."""


def renamed_specs(url: str, entity: str, names: Names, *, same: bool) -> list[Task]:
    """What is to be done with the tiles of `names` in the Redis at `url`.

    Args: same: they hold the same under both names. Else nothing gets a new name, and old names go all the same.
    Raises: StoreUnavailable: when Redis does not answer.
    """
    found = []
    with _client(url) as client:
        unnamed = sum(1 for _ in _unnamed(client, entity, names)) if same else 0
        left = sum(1 for _ in _left(client, entity, names))
    if unnamed:
        what = f"write tiles and blobs of {unnamed:,} of entity {entity} under the names of today, beside the old ones"
        found.append(Task(what, partial(_name, url, entity, names)))
    if left:
        what = f"remove tiles and blobs of {left:,} of entity {entity} under old names, which later days have replaced"
        found.append(Task(what, partial(_remove, url, entity, names)))
    return found


def _name(url: str, entity: str, names: Names) -> None:
    store = RedisStore(url)
    with _client(url) as client:
        found = _unnamed(client, entity, names)
        while some := list(islice(found, AT_ONCE)):
            store.write_tiles([tile for tiles, _ in some for tile in tiles])
            store.publish([blobs for _, blobs in some if blobs.blobs])


def _remove(url: str, entity: str, names: Names) -> None:
    with _client(url) as client:
        found = _left(client, entity, names)
        while some := list(islice(found, AT_ONCE)):
            with client.pipeline(transaction=False) as pipe:
                for key, fields in some:
                    pipe.hdel(batch_key(key), *names)
                    if fields:
                        pipe.hdel(key, *fields)
                pipe.execute()


def _unnamed(client: redis.Redis, entity: str, names: Names) -> Iterator[tuple[list[TileWrite], BatchWrite]]:
    """Tiles and blobs of each entity that are there under an old name alone."""
    for key, fields, blobs in _held(client, entity, names):
        tiles = {field: f"{names[spec]}/{start}" for field in fields for spec, _, start in [field.partition("/")]}
        missing = [
            field for field, new in zip(tiles, _values(client, key, list(tiles.values())), strict=True) if not new
        ]
        writes = [
            TileWrite(key, tiles[field], payload)
            for field, payload in zip(missing, _values(client, key, missing), strict=True)
            if payload
        ]
        unread = {new: blobs[old] for old, new in names.items() if old in blobs and new not in blobs}
        if writes or unread:
            yield writes, BatchWrite(key, unread)


def _left(client: redis.Redis, entity: str, names: Names) -> Iterator[tuple[str, list[str]]]:
    """Key of each entity whose old blobs have all been replaced by those of a later day, and its old tiles."""
    for key, fields, blobs in _held(client, entity, names):
        old = [spec for spec in names if spec in blobs]
        if old and all(blobs[spec][THROUGH_SLICE] < blobs.get(names[spec], b"")[THROUGH_SLICE] for spec in old):
            yield key, fields


def _held(client: redis.Redis, entity: str, names: Names) -> Iterator[tuple[str, list[str], dict[str, bytes]]]:
    """Key of each entity with anything under an old name, the fields of its old tiles, and its blobs of either name."""
    specs = [*names, *names.values()]
    prefix, batch_prefix = speed_key(entity, ""), batch_key(speed_key(entity, ""))
    for start in (batch_prefix, prefix):
        found = client.scan_iter(match=f"{start}*", count=1000)
        while some := [key.decode().removeprefix(start) for key in islice(found, AT_ONCE)]:
            keys = [speed_key(entity, own) for own in some]
            with client.pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.hmget(batch_key(key), specs)
                    pipe.hkeys(key)
                answers = iter(pipe.execute())
            for key in keys:
                blobs = {s: b for s, b in zip(specs, next(answers), strict=True) if b is not None}
                fields = [f.decode() for f in next(answers) if f.decode().partition("/")[0] in names]
                # Whoever has blobs was found by them.
                if (start == batch_prefix or not blobs) and (fields or any(spec in blobs for spec in names)):
                    yield key, fields, blobs


def _values(client: redis.Redis, key: str, fields: Sequence[str]) -> list[bytes | None]:
    return cast("list[bytes | None]", client.hmget(key, list(fields))) if fields else []


@contextmanager
def _client(url: str) -> Iterator[Any]:
    """A client whose failures are told in words."""
    client = redis.Redis.from_url(url)
    try:
        yield client
    except RedisError as error:
        raise unavailable(error) from error
    finally:
        client.close()
