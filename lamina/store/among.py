"""Features of one who asks with each of many candidates. Hot path.

Who asks is read from the store; candidates are looked up in what the process holds (`lamina.store.held`):

    u-7 at 10:00   ->  u-7's features once       v-1 | v-2 | ... | v-1000
                       watch_frequency_30d 12    views of the last hour 4 | 0 | ... | 17

A model takes the features that it names as columns; all features of a row are made for what is shown, and logged.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lamina.errors import DefinitionError
from lamina.semantics.events import EventRow, request_value, value_of
from lamina.semantics.reference import Value
from lamina.store.columnar import Columns
from lamina.store.edges import Asked
from lamina.store.evaluate import Question, segments_of
from lamina.store.held import Held
from lamina.store.known import Known
from lamina.store.protocol import ReadKey, Snapshot
from lamina.store.reader import FeatureVector, Reader, vector_of
from lamina.store.sheet import Sheet
from lamina.store.staleness import batch_watermark


@dataclass(frozen=True)
class Asker:
    """Who asks, at one time. values: the features of windows over what they did that are the same for every candidate:
    those of views without the request. known: what the store holds of each
    entity of theirs, as read with `batch_end_ms`.
    """

    request: EventRow
    at_ms: int
    values: Mapping[str, Value]
    known: Sequence[Known]
    batch_end_ms: Mapping[str, int]


class AmongReader:
    """Reads who asks, and makes features of candidates for them.

    Args: keys: the columns of a request that are a candidate's own ids; the entities of all others are who asks.
    Raises: DefinitionError: when features are about nothing of the kind.
    """

    def __init__(self, reader: Reader, keys: Collection[str]) -> None:
        self.reader = reader
        self.askers = [own for own in reader.entities if own.entity.key not in keys]
        self.items = [own for own in reader.entities if own.entity.key in keys]
        if unknown := sorted(set(keys) - {own.entity.key for own in self.items}):
            known = ", ".join(sorted({own.entity.key for own in reader.entities}))
            raise DefinitionError(f"no feature is about {unknown}, which candidates bring: name some of {known}")
        of_items = {t.key for own in self.items for t in own.tile_specs}
        features = reader.plan.features
        self.objects = features.categorical | {f.name for f in features.window_features if not f.is_number}
        self._same, self.by_row = list[Question](), list[Question]()
        for q in reader.evaluator.questions:
            # A request that is folded in names the candidate.
            by_row = q.span.include_request or q.span.tile_spec in of_items
            (self.by_row if by_row else self._same).append(q)

    def keys(self, request: EventRow, at_ms: int) -> list[ReadKey]:
        """What has to be read of who asks, one key an entity."""
        return [
            ReadKey(
                own.entity.name,
                str(value_of(request, own.entity.key)),
                own.ids,
                bool(own.speed),
                Asked(at_ms, own.edges),
            )
            for own in self.askers
        ]

    def asker(self, snapshot: Snapshot, request: EventRow, at_ms: int) -> Asker:
        """Who asks, from the answer to `keys(request, at_ms)`.

        Raises: CodecError: when stored bytes cannot be read.
        """
        known = [own.known(reply) for own, reply in zip(self.askers, snapshot.replies, strict=True)]
        tiles = {key: found for each in known for key, found in each.tiles().items()}
        own = self.reader.evaluator.own_tiles(request, at_ms)
        spans = dict.fromkeys(q.span for q in self._same)
        windows = {span: segments_of(span, tiles.get(span.tile_spec), own, at_ms) for span in spans}
        values = {q.name: q.finish(windows[q.span], at_ms) for q in self._same}
        return Asker(request, at_ms, values, known, snapshot.batch_end_ms)

    def candidates(
        self, asker: Asker, held: Sequence[Held], fields: Sequence[Mapping[str, object]]
    ) -> CandidateFeatures:
        """The features of candidates.

        Args: held: one for each of `items`, in that order; fields: those columns of the request that each candidate
        has, among them the ids of its entities.
        """
        return CandidateFeatures(self, asker, held, fields)


class CandidateFeatures:
    """Features of candidates for one asker. Made as they are asked for."""

    def __init__(
        self, reader: AmongReader, asker: Asker, held: Sequence[Held], fields: Sequence[Mapping[str, object]]
    ) -> None:
        self._reader, self._asker, self._held = reader, asker, held
        self._own = frozenset(fields[0]) if fields else frozenset[str]()
        self._rows: list[EventRow] = [{**asker.request, **each} for each in fields]

    def __len__(self) -> int:
        """How many candidates there are."""
        return len(self._rows)

    def columns(self, names: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Features by name, an array each: float64[candidates], NaN where a number is missing; texts and lists are
        object[candidates].
        """
        features, asker, n = self._reader.reader.plan.features, self._asker, len(self._rows)
        wanted = set(features.with_parts(names))
        found = Columns()
        same = {name: value for name, value in asker.values.items() if name in wanted}
        same |= {
            own.name: request_value(own, asker.request, asker.at_ms)
            for own in features.request_features
            if own.name in wanted and not self._own & {own.column, own.other}
        }
        for name, value in same.items():
            if value is None or isinstance(value, float | int):
                found.add_numbers(name, np.full(n, nan if value is None else value))
            else:
                found.add(name, [value] * n)
        questions = [q for q in self._reader.by_row if q.name in wanted]
        at_ms, columnar = [asker.at_ms] * n, self._reader.reader.columnar
        sheets = self._sheets({q.span.tile_spec for q in questions})
        columnar.add_windows(found, questions, sheets, self._rows, at_ms)
        columnar.add_derived(found, wanted - same.keys(), self._rows, at_ms)
        objects = self._reader.objects
        return {name: _objects(found.values(name)) if name in objects else found.numbers(name) for name in names}

    def vectors(self, chosen: Sequence[int]) -> list[FeatureVector]:
        """Every feature of the candidates at these places, and what it was made from."""
        reader, asker = self._reader.reader, self._asker
        rows, at_ms = [self._rows[at] for at in chosen], [asker.at_ms] * len(chosen)
        sheets = self._of_asker(len(chosen))
        places = [places[list(chosen)] for places in self._places]
        for held, at in zip(self._held, places, strict=True):
            sheets |= {key: sheet.some(at) for key, sheet in held.sheets.items()}
        values = reader.columnar.values(sheets, rows, at_ms)
        complete = dict(asker.batch_end_ms)
        for held in self._held:
            name = batch_watermark(reader.plan.features.system, held.own.entity)
            if name in held.batch_end_ms:
                complete[name] = held.batch_end_ms[name]
        begins = reader.staleness.begins(complete)
        known = [[held.known[place] for place in at] for held, at in zip(self._held, places, strict=True)]
        return [
            vector_of([*asker.known, *items], each, begins, asker.at_ms)
            for items, each in zip(zip(*known, strict=True), values, strict=True)
        ]

    def _of_asker(self, rows: int) -> dict[str, Sheet]:
        """The tiles of who asks, for so many rows."""
        nobody_else = np.zeros(rows, np.int64)
        return {
            t.key: Sheet(t, [known.batch.get(t.key)], [known.speed.get(t.key)], nobody_else)
            for own, known in zip(self._reader.askers, self._asker.known, strict=True)
            for t in own.tile_specs
        }

    @cached_property
    def _places(self) -> list[NDArray[np.int64]]:
        """Of the candidates in what is held of each entity."""
        return [held.at([str(value_of(row, held.own.entity.key)) for row in self._rows]) for held in self._held]

    def _sheets(self, tile_specs: Collection[str]) -> dict[str, Sheet]:
        """Tiles by these tile specs, a row a candidate: its own, or those of who asks, into which it is folded."""
        found: dict[str, Sheet] = {}
        for held, places in zip(self._held, self._places, strict=True):
            found |= {key: sheet.some(places) for key, sheet in held.sheets.items() if key in tile_specs}
        return self._of_asker(len(self)) | found if len(found) < len(tile_specs) else found


def _objects(values: Sequence[Any]) -> NDArray[np.object_]:
    found = np.empty(len(values), object)
    found[:] = values
    return found
