"""What a case is: an answer that waits for a person, and what people said about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from lamina.contracts.served import Served

State = Literal["open", "escalated", "decided"]
ANALYST = "analyst"
"""The source of what people say of cases."""
Answer = Literal["approve", "reject"]
VerdictName = Literal["approve", "reject", "escalate"]


@dataclass(frozen=True, kw_only=True)
class NewCase:
    """An answer that is to be looked at. `evidence` is its envelope as JSON; times are epoch ms."""

    system: str
    request_id: str
    event_id: str | None
    subjects: Mapping[str, str]
    answered_at: int
    score: float | None
    expected_loss: float
    uncertainty: float
    evidence: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What `author` said at `at_ms`; until `publish_at` it can be taken back."""

    verdict_id: int
    case_id: int
    verdict: VerdictName
    author: str
    at_ms: int
    note: str
    before: State
    publish_at: int
    undone_at: int | None
    published_at: int | None

    @property
    def stands(self) -> bool:
        """Whether it was not taken back."""
        return self.undone_at is None

    def can_be_undone(self, now_ms: int) -> bool:
        """Whether it has not become a label yet, and its time to be taken back is not over."""
        return self.published_at is None and self.publish_at > now_ms


@dataclass(frozen=True, kw_only=True)
class Case(NewCase):
    """A case in the queue; `holder` works on it until `held_until`. Its verdicts, the newest last."""

    case_id: int
    opened_at: int
    state: State
    holder: str | None
    held_until: int | None
    verdicts: tuple[Verdict, ...] = field(default=())

    @property
    def served(self) -> Served:
        """The answer."""
        return Served.from_json(self.evidence.encode())

    @property
    def standing(self) -> Verdict | None:
        """The newest verdict that was not taken back."""
        return next((verdict for verdict in reversed(self.verdicts) if verdict.stands), None)

    def held_by_another(self, analyst: str, now_ms: int) -> bool:
        """Whether somebody else works on it now."""
        return self.holder not in (None, analyst) and (self.held_until or 0) > now_ms


class Label(NamedTuple):
    """What a verdict tells everybody: an event, by its topic without prefix, its key and its JSON."""

    topic: str
    key: str
    value: bytes


@dataclass(frozen=True, kw_only=True)
class Reviewing:
    """How the answers of one system are reviewed.

    action: of the answers that wait for a person. expected_loss: what it is expected to cost to let an answer stand
    that should not, in any unit that is one for the whole system: the queue is sorted by it. labels: events that a
    verdict becomes beside feedback, on the system's own topics; the same verdict gives the same bytes.
    """

    action: str
    expected_loss: Callable[[Served], float]
    labels: Callable[[Served, Answer, int], tuple[Label, ...]] = lambda served, answer, at_ms: ()

    def case(self, served: Served) -> NewCase:
        """The case of an answer."""
        score = next(iter(served.outputs.values()), None)
        return NewCase(
            system=served.system,
            request_id=served.request_id,
            event_id=served.event_id,
            subjects=served.subjects,
            answered_at=served.timestamp,
            score=score,
            expected_loss=self.expected_loss(served),
            uncertainty=uncertainty(score),
            evidence=served.to_json().decode(),
        )


def uncertainty(score: float | None) -> float:
    """How much a label would teach the model: 1 where it takes both for equally likely, 0 where it is sure, or was not
    asked. Lewis and Gale, "A sequential algorithm for training text classifiers", 1994.

    >>> uncertainty(0.5), uncertainty(0.9), uncertainty(None)
    (1.0, 0.19999999999999996, 0.0)
    """
    return 0.0 if score is None else max(0.0, 1.0 - abs(2.0 * score - 1.0))
