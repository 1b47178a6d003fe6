"""Where the lake keeps the batch tiles of a tile spec, and up to when all of a system's are built."""

from __future__ import annotations

import re
from datetime import date

from lamina.clock import Clock, next_day, require_over
from lamina.errors import DayNotOver
from lamina.lake import layout
from lamina.lake.files import children, name_of
from lamina.lake.write import open_lake
from lamina.semantics.plan import Plan, TileSpec

THROUGH = "through="


def tiles_url(lake: str, tile_spec: TileSpec, through: date) -> str:
    """Folder of a tile spec's batch tiles made from all events before `through`.

    >>> from lamina.definitions.fraud import FEATURES
    >>> from lamina.semantics.plan import make_plan
    >>> url = tiles_url("lake", make_plan(FEATURES).tile_specs[1], date(2018, 8, 15))
    >>> url.startswith("lake/tiles/user/transactions-1d-"), url.endswith("/through=2018-08-15")
    (True, True)
    """
    folder = re.sub(r"[^A-Za-z0-9_.-]", "-", tile_spec.id)
    return layout.tiles(lake, f"{tile_spec.entity.name}/{folder}", through)


def is_built(lake: str, tile_spec: TileSpec, day: date) -> bool:
    """Whether the lake holds the batch tiles of a tile spec through the end of `day`."""
    return next_day(day) in _throughs(lake, tile_spec)


def built_through(lake: str, plan: Plan) -> list[date]:
    """Every `through` of which the lake holds the tiles of all tile specs of `plan`, oldest first."""
    common: set[date] | None = None
    for tile_spec in plan.tile_specs:
        found = set(_throughs(lake, tile_spec))
        common = found if common is None else common & found
    return sorted(common or ())


def built_later(lake: str, plan: Plan, through: date) -> list[str]:
    """Folders of batch tiles of any tile spec of `plan` that are complete later than `through`."""
    return [
        tiles_url(lake, tile_spec, found)
        for tile_spec in plan.tile_specs
        for found in _throughs(lake, tile_spec)
        if found > through
    ]


def _throughs(lake: str, tile_spec: TileSpec) -> list[date]:
    fs, folder = open_lake(tiles_url(lake, tile_spec, date.min).rsplit("/", 1)[0])
    names = [name_of(path) for path in children(fs, folder)]
    return sorted(date.fromisoformat(name.removeprefix(THROUGH)) for name in names if name.startswith(THROUGH))


def require_built_over(newest: date, plan: Plan, clock: Clock) -> None:
    """Refuse to build on `newest`, the newest day that the lake has tiles of, while it is not over.

    Raises: DayNotOver: says how to take it back.
    """
    try:
        require_over(newest, clock)
    except DayNotOver as problem:
        raise DayNotOver(
            f"the lake holds batch tiles of {plan.features.system!r} through a day that is not over. {problem}. Take "
            f"them back first: lamina features take-back --system {plan.features.system} --through D, with D the last "
            "day that is to stay"
        ) from problem
