"""What joined rows hold, straight from the events: slow and obvious, what Spark is compared with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

from lamina.clock import day_of
from lamina.contracts.feedback import Feedback
from lamina.contracts.labels import FollowedLabel, ReportedLabel
from lamina.contracts.served import Served
from lamina.contracts.systems import System
from lamina.lake.joined import ASSUMED, SAID, WAITING
from lamina.semantics.events import EventRow, holds, value_of
from lamina.semantics.reference import without_duplicates


class Statement(NamedTuple):
    """A value, since when it is known, who says so, and its place among those that arrived."""

    value: float
    known: int
    origin: str
    place: tuple[int, int]


class Row(NamedTuple):
    """What a joined row says of the label."""

    label: float | None
    known: int | None
    source: str | None
    status: str
    contradicted: bool


Key = tuple[str, str | None]
Identity = tuple[str | None, str, str]
"""Client, source and id of what was said."""
Arrived = Sequence[tuple[date, Any]]


@dataclass
class Reference:
    """The joined rows of `system` by what had arrived by the end of `day` and was known before a time."""

    system: System
    day: date
    known_before_ms: int
    counts: dict[str, int] = field(default_factory=dict)

    def rows(self, envelopes: Arrived, said: Arrived, events: Arrived) -> dict[tuple[Any, ...], Row]:
        """By request, event, shadow and arm."""
        logged = self._logged(envelopes)
        answers: dict[Key, Served] = {}
        for (request, event, shadow, _), each in logged.items():
            if not shadow:
                answers.setdefault((request, event), each)
        statements = self._by_record(answers, [e for day, e in events if day <= self.day])
        feedback, repeated = self._feedback(said)
        found = {identity: self._answer(f, answers) for identity, (_, f) in feedback.items()}
        fed: dict[tuple[Key, str | None], dict[Statement, Identity]] = {}
        for identity, (place, f) in feedback.items():
            if (about := found[identity]) is not None:
                value = self.system.feedback.says(f.action, f.value)  # type: ignore[union-attr]
                statement = Statement(float(value or 0), f.timestamp, f.source, (1, place))
                statements.setdefault(about, []).append(statement)
                fed.setdefault(about, {})[statement] = identity
        stands = {about: self._stands(each) for about, each in statements.items()}
        used = sum(each in fed.get(about, ()) for about, (each, _) in stands.items())
        matched = sum(about is not None for about in found.values())
        self.counts = {
            "used": used,
            "superseded": matched - used,
            "unmatched": len(found) - matched,
            "repeated": repeated,
            "feedback": len(found) + repeated,
        }
        return {key: self._row(each, stands) for key, each in logged.items()}

    def _logged(self, envelopes: Arrived) -> dict[tuple[Any, ...], Served]:
        found: dict[tuple[Any, ...], Served] = {}
        for day, each in envelopes:
            if day <= self.day and day_of(each.timestamp) <= self.day and each.system == self.system.name:
                found.setdefault((each.request_id, each.event_id, each.shadow, each.arm), each)
        return found

    def _feedback(self, said: Arrived) -> tuple[dict[Identity, tuple[int, Feedback]], int]:
        found: dict[Identity, tuple[int, Feedback]] = {}
        repeated = 0
        for place, (day, f) in enumerate(said):
            if day <= self.day and f.system == self.system.name and f.timestamp < self.known_before_ms:
                identity = (f.client, f.source, f.feedback_id)
                repeated += identity in found
                found.setdefault(identity, (place, f))
        return found, repeated

    def _answer(self, f: Feedback, answers: dict[Key, Served]) -> tuple[Key, str | None] | None:
        assert self.system.feedback is not None
        if self.system.feedback.says(f.action, f.value) is None:
            return None
        best: tuple[int, str, str | None] | None = None
        about = None
        for key, each in answers.items():
            if f.request_id is not None and f.request_id != each.request_id:
                continue
            if f.event_id is not None and f.event_id != each.event_id:
                continue
            if f.request_id is None and f.event_id is None:
                age = f.timestamp - each.timestamp
                if not 0 < age <= self.system.feedback.within.ms:
                    continue
            agrees, candidate = _agrees(f, each)
            rank = (each.timestamp, "\x00".join((key[0], key[1] or "")), candidate)
            if agrees and (best is None or rank[:2] > best[:2]):
                best, about = rank, (key, candidate)
        return about

    def _by_record(
        self, answers: dict[Key, Served], events: Sequence[EventRow]
    ) -> dict[tuple[Key, str | None], list[Statement]]:
        found: dict[tuple[Key, str | None], list[Statement]] = {}
        match self.system.label:
            case ReportedLabel() as label:
                told = label.source.revisions
                assert told is not None
                for place, event in enumerate(events):
                    known = int(str(event[told.known]))
                    if known >= self.known_before_ms:
                        continue
                    for key in answers:
                        if key[1] == event[label.source.id]:
                            statement = Statement(
                                float(bool(event[label.column])), known, str(event[told.by]), (0, place)
                            )
                            found.setdefault((key, None), []).append(statement)
            case FollowedLabel() as label:
                names = {entity.key: entity.name for entity in self.system.entities}
                events = without_duplicates(label.source, events)
                for key, each in answers.items():
                    ids = [each.subjects.get(names[name]) for name in label.keys]
                    times = [
                        int(str(event["timestamp"]))
                        for event in events
                        if holds(label.where, event) and [value_of(event, name) for name in label.keys] == ids
                    ]
                    late = [at for at in times if each.timestamp < at < self.known_before_ms]
                    if late and min(late) <= each.timestamp + label.within.ms:
                        found[key, None] = [Statement(1.0, min(late), label.source.name, (0, 0))]
        return found

    def _stands(self, statements: Iterable[Statement]) -> tuple[Statement, bool]:
        assert self.system.feedback is not None
        by_rank: dict[int, list[Statement]] = {}
        for each in statements:
            by_rank.setdefault(self.system.feedback.rank(each.origin), []).append(each)
        stands = {}
        for rank, own in by_rank.items():
            if self.system.feedback.keeps == "largest":
                stands[rank] = min(own, key=lambda s: (-s.value, s.known, s.place))
            else:
                stands[rank] = max(own, key=lambda s: (s.known, s.place))
        return stands[min(stands)], len({each.value for each in stands.values()}) > 1

    def _row(self, each: Served, stands: dict[tuple[Key, str | None], tuple[Statement, bool]]) -> Row:
        own = [(c or "", s) for (key, c), s in stands.items() if key == (each.request_id, each.event_id)]
        if own:
            _, (best, _) = min(own, key=lambda s: (-s[1][0].value, s[1][0].known, s[0], s[1][0].origin))
            return Row(best.value, best.known, best.origin, SAID, any(odd for _, (_, odd) in own))
        label, feedback = self.system.label, self.system.feedback
        wait_ms = max(label.delay.ms if label else 0, feedback.within.ms if feedback else 0)
        if each.timestamp + wait_ms < self.known_before_ms:
            return Row(0.0, None, None, ASSUMED, False)
        return Row(None, None, None, WAITING, False)


def _agrees(f: Feedback, each: Served) -> tuple[bool, str | None]:
    """Whether an answer is about the subjects of an event, one of which may be a candidate; and that one."""
    others = {name: id_ for name, id_ in f.subjects.items() if name not in each.subjects}
    same = all(each.subjects[name] == id_ for name, id_ in f.subjects.items() if name in each.subjects)
    ids = {candidate.id for candidate in each.candidates}
    return same and len(others) <= 1 and set(others.values()) <= ids, next(iter(others.values()), None)
