"""Which generations of a system's features there are, recorded in the lake: a file each, with its definitions.

The definitions are data, so a version of the code can fill, read and compare what another version defined.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import orjson

from lamina.contracts.features import FeatureSet
from lamina.errors import DefinitionError, RolloutError
from lamina.lake import files, layout
from lamina.lake.write import open_lake
from lamina.rollout.generation import Generation, lacking, reaching, read_features, write_features
from lamina.semantics.plan import Plan

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Record:
    """A generation, when it was begun to be filled, and since when it is read; None before. Epoch ms."""

    generation: Generation
    began_ms: int
    live_ms: int | None = None

    @property
    def id(self) -> str:
        """That of the generation."""
        return self.generation.id

    def went_live(self, at_ms: int) -> Record:
        """The record of one that is read from now on."""
        return replace(self, live_ms=at_ms)

    def withdrawn(self) -> Record:
        """The record of one that is not to be read any more."""
        return replace(self, live_ms=None)


def read_records(lake: str, system: str) -> list[Record]:
    """Every recorded generation of `system`, the one that was begun first in front.

    Raises: DefinitionError, RolloutError: when a file cannot be read by this version.
    """
    fs, folder = open_lake(layout.rollout(lake, system))
    found = [_read(fs.cat_file(file), file) for file in files.children(fs, folder) if file.endswith(".json")]
    return sorted(found, key=lambda record: (record.began_ms, record.id))


def readable_records(lake: str, system: str) -> list[Record]:
    """As `read_records`, without those that this version cannot read: no daily run is to fail for a roll-out's sake."""
    try:
        return read_records(lake, system)
    except (DefinitionError, RolloutError) as error:
        log.warning("other generations of %s are left out: %s", system, error)
        return []


def recorded(lake: str, system: str, generation: str) -> FeatureSet:
    """The definitions of a recorded generation.

    Raises: RolloutError: when there is none of this id. DefinitionError: as `read_records`.
    """
    known = {record.id: record.generation.features for record in read_records(lake, system)}
    if generation not in known:
        raise RolloutError(
            f"no generation {generation!r} of {system!r} is recorded; there are {', '.join(known) or 'none'}: see "
            "`lamina features rollout`"
        )
    return known[generation]


def write_record(lake: str, record: Record) -> None:
    """Record a generation, or what became of it, in one step."""
    fs, folder = open_lake(layout.rollout(lake, record.generation.system))
    fs.makedirs(folder, exist_ok=True)
    staged = f"{folder}/{layout.STAGING_PREFIX}{uuid.uuid4().hex}"
    told = {"generation": record.id, "began_ms": record.began_ms, "live_ms": record.live_ms}
    told["features"] = orjson.Fragment(write_features(record.generation.features))
    fs.pipe_file(staged, orjson.dumps(told, option=orjson.OPT_INDENT_2))
    files.move(fs, staged, f"{folder}/{record.id}.json")


def remove_record(lake: str, record: Record) -> None:
    """Forget a generation; one that is not recorded stays so."""
    fs, folder = open_lake(layout.rollout(lake, record.generation.system))
    if fs.exists(file := f"{folder}/{record.id}.json"):
        fs.rm_file(file)


def live_of(records: Iterable[Record]) -> Record | None:
    """The generation that is read: the one that went live last. None where none ever did."""
    return max((r for r in records if r.live_ms is not None), key=lambda r: r.live_ms or 0, default=None)


def ages(records: Iterable[Record], now_ms: int) -> dict[str, float]:
    """How long a rollout has been where it is, in seconds, by state; 0.0 where no generation is in it.

    filling: since one was begun that is not live. kept: since one that was live is kept beside the one that is.
    """
    begun, live = list[int](), list[int]()
    for record in records:
        if record.live_ms is None:
            begun.append(record.began_ms)
        else:
            live.append(record.live_ms)
    # The one that was live first has been kept since the next took its place.
    since = {"filling": min(begun, default=None), "kept": sorted(live)[1] if len(live) > 1 else None}
    return {state: 0.0 if at is None else max(now_ms - at, 0) / 1000 for state, at in since.items()}


def is_waiting(lake: str, own: Generation) -> bool:
    """Whether others are read in the place of `own`, until somebody makes it live."""
    records = readable_records(lake, own.system)
    return live_of(records) is not None and all(r.id != own.id or r.live_ms is None for r in records)


def beside(records: Sequence[Record], own: Plan) -> list[tuple[Plan, frozenset[str]]]:
    """The plans of the other generations and, of each, the keys of the tile specs that no plan before it keeps.

    A daily run builds these as well, so that processes of either version find what they read: each as far back as it is
    asked for by it and those before.
    """
    done, found = [own], []
    for record in records:
        plan = record.generation.plan
        if more := frozenset(t.key for t in lacking(plan, done)):
            before = [spec for each in done for spec in each.tile_specs]
            plan = Plan(plan.features, tuple(reaching(spec, before) for spec in plan.tile_specs))
            found.append((plan, more))
            done.append(plan)
    return found


# Every process of the API reads them every two seconds, beside requests; they seldom change.
@lru_cache(maxsize=32)
def _read(text: bytes, file: str) -> Record:
    try:
        told = orjson.loads(text)
        features, began_ms, live_ms = orjson.dumps(told["features"]), int(told["began_ms"]), told["live_ms"]
    except (ValueError, KeyError, TypeError) as error:
        raise RolloutError(f"{file} is no record of a rollout ({error}): remove it, and run `lamina up`") from None
    return Record(Generation(read_features(features)), began_ms, None if live_ms is None else int(live_ms))
