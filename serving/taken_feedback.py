"""What a client says of an answer, as the event that is published: held against the record of the system it names."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from hashlib import sha256

import orjson

from lamina.clock import Clock
from lamina.contracts.expectations import CLOCK_SKEW_MS
from lamina.contracts.feedback import Feedback, FeedbackGiven
from lamina.contracts.systems import System
from lamina.errors import ContractError, LaminaError
from serving.checks import Checks

USER, ITEM = "user_id", "item_id"
DIGEST_DIGITS = 32


class SourceRefused(LaminaError):
    """A client speaks as a source that is not its own."""


class FeedbackReader:
    """Makes events of what clients say.

    Args: systems: those that are served, by name; checks: what everything that a client sends is held against.
    """

    def __init__(self, systems: Mapping[str, System], checks: Checks, clock: Clock) -> None:
        self._systems, self._checks, self._clock = systems, checks, clock

    def take(self, given: FeedbackGiven, *, sources: Collection[str], client: str | None) -> Feedback:
        """The event that `given` says.

        Args: sources: those that the client may claim; client: the name of its key.
        Raises: ContractError: names the field that cannot be right; SourceRefused: the source is not the client's word.
        """
        system = self._system(given)
        if given.source not in sources:
            raise SourceRefused("this client may not claim this source")
        self._is_about_its_label(given, system)
        subjects = _subjects(given, system)
        self._checks.take([given])
        self._checks.subjects(
            type(given).__name__, {e.key: subjects[e.name] for e in system.entities if e.name in subjects}
        )
        if given.timestamp is None and given.feedback_id is None:
            raise _wrong("timestamp", "give it, or a feedback_id: else the same event sent again would count twice")
        now_ms = self._clock()
        timestamp = now_ms if given.timestamp is None else given.timestamp
        if timestamp > now_ms + CLOCK_SKEW_MS:
            raise _wrong("timestamp", f"lies in the future by more than {CLOCK_SKEW_MS // 60_000} minutes")
        told = {
            **given.model_dump(exclude={USER, ITEM}),
            "subjects": subjects,
            "timestamp": timestamp,
            "client": client,
        }
        told["feedback_id"] = given.feedback_id or _identity(given, subjects)
        return Feedback(**told)

    def _system(self, given: FeedbackGiven) -> System:
        system = self._systems.get(given.system)
        if system is None:
            raise _wrong("system", f"there are {', '.join(sorted(self._systems))}")
        if system.feedback is None:
            raise _wrong("system", "takes no feedback: its record says nothing of it")
        return system

    def _is_about_its_label(self, given: FeedbackGiven, system: System) -> None:
        label = system.feedback
        assert label is not None, "looked at before"
        if given.source not in system.feedback_sources:
            raise _wrong("source", f"system {system.name} knows {', '.join(system.feedback_sources)}")
        if label.grades and given.action not in label.grades:
            raise _wrong("action", f"system {system.name} knows {', '.join(label.grades)}")
        if label.reward and given.value is None:
            raise _wrong("value", f"is missing: the label of system {system.name} is a reward")


def _subjects(given: FeedbackGiven, system: System) -> dict[str, str]:
    """Ids by entity. The item is the entity of that key or, where a system has none, its only other one."""
    keys = {entity.key: entity.name for entity in system.entities}
    found = dict(given.subjects)
    if unknown := sorted(set(found) - set(keys.values())):
        # What is ranked is an entity, too, or else is named by item_id.
        raise _wrong("subjects", f"system {system.name} has {', '.join(keys.values())}, and not {', '.join(unknown)}")
    for field, id_ in ((USER, given.user_id), (ITEM, given.item_id)):
        if id_ is None:
            continue
        others = [name for key, name in keys.items() if key != USER]
        name = keys.get(field) or (others[0] if field == ITEM and len(others) == 1 else None)
        if name is None:
            raise _wrong(field, f"system {system.name} has {', '.join(keys.values())}: name them in subjects")
        if found.setdefault(name, id_) != id_:
            raise _wrong(field, "is another one in subjects: give it once")
    if not found and given.request_id is None and given.event_id is None:
        raise _wrong("request_id", "nothing says which answer it is about: give it, event_id, or user_id and item_id")
    return found


def _identity(given: FeedbackGiven, subjects: Mapping[str, str]) -> str:
    """An id made of all that was said, so that the same said again has the same."""
    said = {**given.model_dump(exclude={"feedback_id", USER, ITEM}), "subjects": dict(subjects)}
    return sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()[:DIGEST_DIGITS]


def _wrong(field: str, message: str) -> ContractError:
    return ContractError(FeedbackGiven.__name__, field, message)
