"""The online store as whoever moves tiles opens it."""

from __future__ import annotations

from itertools import chain

from lamina.definitions import load, system_names
from lamina.semantics.plan import make_plan
from lamina.settings import Settings
from lamina.store.folded import Folder
from lamina.store.redis import RedisStore


def store_for_tiles(settings: Settings) -> RedisStore:
    """Redis, with the tiles of busy keys added up by the definitions of all systems.

    Raises: DefinitionError: when a definition cannot be right.
    """
    plans = (make_plan(load(name)) for name in system_names())
    return RedisStore(
        settings.redis_url.get_secret_value(), folder=Folder(chain.from_iterable(plan.speed for plan in plans))
    )
