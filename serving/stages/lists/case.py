"""One request for a list on its way, and what a system says on that way. Hot path."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, Protocol, TypeVar

from pydantic import JsonValue

from lamina.contracts.base import Event
from lamina.contracts.served import ModelUsed
from lamina.scoring.protocol import Outputs
from lamina.store.among import Asker
from lamina.store.table import Items
from serving.stages.lists.scored import Float64s
from serving.stages.trace import TRACE, RequestTrace

Q = TypeVar("Q")


@dataclass(slots=True, eq=False, repr=False)
class ListCase(Generic[Q]):
    """One request for a list.

    question: what was asked, in the system's own words. row: the columns of the system's events that are the same for
    everything shown, who asks among them; the rest is each candidate's. k: so many are shown at most. at_ms: when,
    epoch ms. request_id: of the request; the ids of what is shown follow from it. started_ns: when it arrived, by
    `time.perf_counter_ns`.
    """

    question: Q
    row: Mapping[str, object]
    k: int
    at_ms: int
    request_id: str
    started_ns: int
    trace: RequestTrace | None = field(default_factory=TRACE.get)


class Found(NamedTuple):
    """A candidate: its id, what found it, and the columns of an event that are its own, the id's among them."""

    id: str
    source: str
    fields: Mapping[str, object]


class Finding(NamedTuple):
    """Candidates, the likeliest first and each once, and what they were found by, by stage."""

    found: Sequence[Found]
    models: Mapping[str, ModelUsed] = {}


class Ranked(NamedTuple):
    """A candidate at its rank. place: among those that were found. outputs: of the model; empty where none ranked."""

    place: int
    found: Found
    outputs: Mapping[str, float] = {}


class Ranking:
    """Candidates at their ranks, each made when it is looked at: there are a thousand, and few are.

    Args: found: in the order of the finding; order: places in it, best first; outputs: of the model, n each; none where
    none ranked.
    """

    def __init__(self, found: Sequence[Found], order: Iterable[int], outputs: Outputs) -> None:
        self.found, self._order, self._outputs = found, order, outputs

    def __iter__(self) -> Iterator[Ranked]:
        """Best first."""
        return map(self.at, self._order)

    def at(self, place: int) -> Ranked:
        """The one that was found at this place."""
        return Ranked(place, self.found[place], {name: float(column[place]) for name, column in self._outputs.items()})


class Shown(NamedTuple):
    """One that is shown; see `Candidate` for the propensity. said: what the payload of its envelope says besides."""

    ranked: Ranked
    propensity: float | None = None
    said: Mapping[str, JsonValue] = {}


class Recommender(Protocol[Q]):
    """What a system says about its lists. All but `find` and `value` is done between other requests, so it is quick."""

    def find(self, case: ListCase[Q], asker: Asker, items: Items) -> Finding:
        """Candidates for who asks. It is done on a thread, and what it raises counts as late."""

    def instead(self, case: ListCase[Q], items: Items) -> Finding:
        """Candidates for anybody, where who asks is not known or `find` was late."""

    def value(self, outputs: Outputs) -> Float64s:
        """float64[n] by which n candidates are ranked, the largest first."""

    def choose(self, case: ListCase[Q], asker: Asker | None, ranking: Ranking) -> Iterable[Shown]:
        """What is shown, in order; it takes from `ranking`, best first, as many as it has to look at.

        Args: asker: None where it is not known who asks.
        """

    def event(self, case: ListCase[Q], shown: Shown, position: int, id_: str) -> Event:
        """The event that says that it was shown: of the topic of the system's requests, with this id, at `at_ms`."""
