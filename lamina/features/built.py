"""Where the lake keeps the batch tiles of a tiling, and up to when all of a system's are built."""

from __future__ import annotations

import re
from datetime import date

from lamina.lake import layout
from lamina.lake.write import open_lake
from lamina.semantics.plan import Plan, Tiling

THROUGH = "through="


def tiles_url(lake: str, tiling: Tiling, through: date) -> str:
    """Folder of a tiling's batch tiles made from all events before `through`.

    >>> from lamina.definitions.fraud import FEATURES
    >>> from lamina.semantics.plan import make_plan
    >>> url = tiles_url("lake", make_plan(FEATURES).tilings[1], date(2018, 8, 15))
    >>> url.startswith("lake/tiles/user/transactions-1d-"), url.endswith("/through=2018-08-15")
    (True, True)
    """
    folder = re.sub(r"[^A-Za-z0-9_.-]", "-", tiling.id)
    return layout.tiles(lake, f"{tiling.entity.name}/{folder}", through)


def built_through(lake: str, plan: Plan) -> list[date]:
    """Every `through` of which the lake holds the tiles of all tilings of `plan`, oldest first."""
    common: set[date] | None = None
    for tiling in plan.tilings:
        fs, folder = open_lake(tiles_url(lake, tiling, date.min).rsplit("/", 1)[0])
        names = [str(f).rstrip("/").rsplit("/", 1)[1] for f in fs.ls(folder, detail=False)] if fs.exists(folder) else []
        found = {date.fromisoformat(name.removeprefix(THROUGH)) for name in names if name.startswith(THROUGH)}
        common = found if common is None else common & found
    return sorted(common or ())
