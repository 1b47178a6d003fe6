"""Lists of videos: where candidates come from, what is shown of them, and what an event says of each. Hot path."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from pydantic import JsonValue

from lamina.clock import Clock
from lamina.contracts.base import Event
from lamina.contracts.served import ModelUsed
from lamina.contracts.videos import Impression
from lamina.monitoring import metrics
from lamina.scoring.protocol import Outputs
from lamina.scoring.retrievers.protocol import Retriever
from lamina.semantics.reference import Value
from lamina.store.among import Asker
from lamina.store.table import Items
from serving.stages.budget import fell_back, over_budget
from serving.stages.lists.case import Finding, Found, ListCase, Ranked, Ranking, Shown
from serving.stages.lists.lister import CHOOSE
from serving.stages.lists.scored import Float64s
from serving.stages.model import InService
from serving.stages.stopwatch import NS_PER_MS
from serving.systems.recommendation.choosing import Choice, Scored, choose
from serving.systems.recommendation.mixing import (
    COLD_SHARES,
    COLLABORATIVE,
    FOLLOW,
    INTERESTS,
    MOST,
    SHARES,
    SIMILAR,
    TRENDING,
    mixed,
)
from serving.systems.recommendation.near import LATELY, near
from serving.systems.recommendation.policy import Policy
from serving.systems.recommendation.shelf import Shelf, in_turn

SYSTEM = "recommendation"
CHANCE = "explore"
"""The source of what is a candidate for chance alone; with the pool's name that of what chance has drawn."""
RETRIEVER, POLICY = "retriever", "policy"
"""Stages, as envelopes name what answered them."""
REMOVED = "removed"
"""In the payload of the first on a list: ids by the rule that kept them from it."""
TOLD = 50
"""Ids of each rule that are told."""
BEFORE_VARIETY_MS = 5.0
"""So long the choice may have taken before its variety; beyond that it does without."""


@dataclass(frozen=True)
class Question:
    """What is asked besides whom for. interests: categories that a viewer of whom nothing is known likes."""

    interests: Sequence[str] = ()


VideoCase = ListCase[Question]


@dataclass
class Videos:
    """Implements `Recommender`.

    retriever: gives what finds candidates now; rng: of what chance draws; monotonic_ns: a clock that never goes back.
    """

    retriever: Callable[[], InService[Retriever] | None]
    policy: Policy
    rng: np.random.Generator
    clock: Clock
    monotonic_ns: Callable[[], int] = time.perf_counter_ns
    shelf: Shelf = field(default_factory=partial(Shelf.from_columns, (), {}))

    def restock(self, items: Items) -> None:
        """Take what was read of all videos into use."""
        self.shelf = Shelf.of(items, self.clock())

    def find(self, case: VideoCase, asker: Asker, items: Items) -> Finding:
        """See `Recommender.find`."""
        shelf, values = self.shelf, asker.values
        recent = _texts(values, "recent_videos")
        lists = {TRENDING: shelf.trending, FOLLOW: _of_each(shelf.by_channel, _texts(values, "followed_channels"))}
        if not recent:
            interests = case.question.interests or _texts(values, "interests")
            lists[INTERESTS] = _of_each(shelf.by_category, interests)
            return self._finding(shelf, case.k, lists, COLD_SHARES)
        model = self.retriever()
        if model is None:
            fell_back(SYSTEM, RETRIEVER)
        found = None if model is None else near(model.scorer, recent, case.at_ms / 1000)
        if model is None or found is None:
            return self._finding(shelf, case.k, lists | {SIMILAR: _alike(shelf, recent)}, SHARES)
        lists |= {COLLABORATIVE: found.collaborative, SIMILAR: found.similar}
        used = {RETRIEVER: ModelUsed(name=model.name, version=model.version)}
        return self._finding(shelf, case.k, lists, SHARES, used)

    def instead(self, case: VideoCase, items: Items) -> Finding:
        """See `Recommender.instead`."""
        shelf = self.shelf
        liked = _of_each(shelf.by_category, case.question.interests)
        return self._finding(shelf, case.k, {TRENDING: shelf.trending, INTERESTS: liked}, COLD_SHARES)

    def value(self, outputs: Outputs) -> Float64s:
        """See `Recommender.value`: by the first output, which is the score."""
        return next(iter(outputs.values()))

    def choose(self, case: VideoCase, asker: Asker | None, ranking: Ranking) -> Iterable[Shown]:
        """See `Recommender.choose`."""
        began = self.monotonic_ns()
        places = {found.id: place for place, found in enumerate(ranking.found)}
        scored = (
            Scored(each.found.id, next(iter(each.outputs.values()), float(-n)), each.found.source != CHANCE)
            for n, each in enumerate(ranking)
        )
        found = choose(
            scored,
            case.k,
            there=places.keys(),
            shelf=self.shelf,
            watched=() if asker is None else _texts(asker.values, "recent_videos"),
            policy=self.policy,
            rng=self.rng,
            may_vary=lambda: self._may_vary(began),
        )
        for rule, ids in found.removed.items():
            metrics.LIST_REMOVED.labels(SYSTEM, rule).inc(len(ids))
        told: dict[str, JsonValue] = {REMOVED: {rule: [*ids[:TOLD]] for rule, ids in found.removed.items()}}
        return [
            Shown(_said(ranking.at(places[choice.id]), choice), choice.propensity, told if place == 0 else {})
            for place, choice in enumerate(found.shown)
        ]

    def event(self, case: VideoCase, shown: Shown, position: int, id_: str) -> Event:
        """See `Recommender.event`."""
        found, row = shown.ranked.found, case.row
        return Impression.trusted(
            event_id=id_,
            viewer_id=row["viewer_id"],
            request_id=case.request_id,
            **found.fields,
            position=position,
            propensity=shown.propensity,
            source=found.source,
            device=row["device"],
            day_part=row["day_part"],
            timestamp=case.at_ms,
        )

    def _may_vary(self, began_ns: int) -> bool:
        if self.monotonic_ns() - began_ns < BEFORE_VARIETY_MS * NS_PER_MS:
            return True
        over_budget(SYSTEM, CHOOSE)
        fell_back(SYSTEM, CHOOSE)
        return False

    def _finding(
        self,
        shelf: Shelf,
        k: int,
        lists: Mapping[str, Sequence[str]],
        shares: Mapping[str, float],
        models: Mapping[str, ModelUsed] | None = None,
    ) -> Finding:
        """Candidates of these lists that are on the shelf; where chance has a position of `k`, behind them what it may
        draw from.
        """
        there = {name: [id_ for id_ in ids if id_ in shelf.videos] for name, ids in lists.items()}
        drawn_from = self.policy.exploring.weights if self.policy.slots(k) else ()
        pools = {id_: None for name in drawn_from for id_ in shelf.pools[name]}
        candidates = {each.id: "+".join(each.sources) for each in mixed(there, shares, most=MOST - len(pools))}
        sources = candidates | {id_: CHANCE for id_ in pools if id_ not in candidates}
        found = [
            Found(id_, source, {"video_id": id_, "channel_id": video.channel, "category": video.category})
            for id_, source in sources.items()
            for video in (shelf.videos[id_],)
        ]
        return Finding(found, {POLICY: ModelUsed(name=POLICY, version=self.policy.version), **(models or {})})


def _texts(values: Mapping[str, Value], name: str) -> list[str]:
    """A list of a viewer's, the newest first; empty where nothing is known."""
    found = values.get(name)
    return [str(each) for each in found] if isinstance(found, list | tuple) else []


def _of_each(lists: Mapping[str, Sequence[str]], names: Iterable[str]) -> list[str]:
    return in_turn([lists.get(name, ()) for name in dict.fromkeys(names)])


def _alike(shelf: Shelf, recent: Sequence[str]) -> list[str]:
    """Videos of the channels of the last watches, then of their categories."""
    watched = [shelf.videos[id_] for id_ in dict.fromkeys(recent) if id_ in shelf.videos][:LATELY]
    of_channels = _of_each(shelf.by_channel, [video.channel for video in watched])
    of_categories = _of_each(shelf.by_category, [video.category for video in watched])
    return [id_ for id_ in dict.fromkeys([*of_channels, *of_categories]) if id_ not in set(recent)]


def _said(ranked: Ranked, choice: Choice) -> Ranked:
    if choice.pool is None:
        return ranked
    return ranked._replace(found=ranked.found._replace(source=f"{CHANCE}_{choice.pool}"))
