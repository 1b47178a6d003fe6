"""One request on its way from its arrival to its answer, and what a system decides on that way. Hot path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, Protocol, TypeVar

from pydantic import JsonValue

from lamina.contracts.served import ModelUsed
from lamina.store.protocol import Snapshot
from lamina.store.reader import FeatureVector
from serving.stages.kind import E
from serving.stages.repeats import Found, Turn
from serving.stages.routing import Lane
from serving.stages.stopwatch import Stopwatch
from serving.stages.trace import TRACE, RequestTrace

J = TypeVar("J")
NO_PAYLOAD: dict[str, JsonValue] = {}


@dataclass(slots=True, eq=False, repr=False)
class Case(Generic[E, J]):
    """One request. Who takes it gives the first four; each stage adds what it finds.

    started_ns: when it arrived, by `time.perf_counter_ns`; until_ns: until when a model may be asked, by the same.
    explain: say what weighed most. trace: that of the request it came with, None where nobody traces. row: the
    event as a mapping; raw: as its `to_json` writes it. snapshot: what the store holds, None where it did not
    answer. held: what another process makes, or made, of the same event, None where it is this one's to answer.
    judged: what the system said before the score. outputs: of the model, by name; empty where none has answered.
    logged: the answer as it is logged.
    """

    event: E
    request_id: str
    started_ns: int
    explain: bool = False
    trace: RequestTrace | None = field(default_factory=TRACE.get)
    row: dict[str, object] = field(init=False)
    raw: bytes = field(init=False)
    turn: Turn = field(init=False)
    until_ns: int = field(init=False)
    snapshot: Snapshot | None = field(init=False)
    read_ns: int = field(init=False)
    held: Found | None = field(init=False)
    watch: Stopwatch = field(init=False)
    vector: FeatureVector = field(init=False)
    lane: Lane = field(init=False)
    judged: J = field(init=False)
    fallback: str = field(init=False)
    outputs: dict[str, float] = field(init=False)
    logged: bytes = field(init=False)


class Verdict(NamedTuple):
    """What is done about a request; see `Served` for the fields."""

    action: str | None = None
    intended: str | None = None
    propensity: float | None = None
    payload: dict[str, JsonValue] = NO_PAYLOAD


class Decider(Protocol[E, J]):
    """What a system decides around the score, by its rules of one moment."""

    @property
    def models(self) -> Mapping[str, ModelUsed]:
        """What it answers by beside the model, by stage."""

    def judge(self, case: Case[E, J]) -> J:
        """What can be said before the score. What it raises is the request's error."""

    def settle(self, case: Case[E, J]) -> Verdict:
        """What is done. Where it raises, the model has failed, and it is asked again without outputs."""


class OutputsAlone(Generic[E]):
    """Implements `Decider` for a system that answers with the model's outputs, and does nothing about them."""

    models: Mapping[str, ModelUsed] = {}

    def judge(self, case: Case[E, None]) -> None:
        """See `Decider.judge`."""

    def settle(self, case: Case[E, None]) -> Verdict:
        """See `Decider.settle`."""
        return Verdict()
