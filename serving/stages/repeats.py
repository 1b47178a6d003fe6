"""An event that is sent again, as after a client's time-out: it gets the answer it had, and is not answered anew.

Answering anew would count it twice: its own features would find it among the past. Who comes second to this process
waits for the first, or is given its answer; Redis knows the answers of the other processes and of earlier ones. Its
word is asked for and taken in the round trip that reads the features (`claim`, `claimed`), and told of an answer
afterwards, off the way of the request. Hot path.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Generic, Protocol

from lamina.contracts.base import json_of
from lamina.contracts.served import Served
from lamina.errors import ContractError, DecisionPending, RepeatedOtherwise
from lamina.monitoring import metrics
from lamina.store.protocol import Command
from serving.stages.kind import E, RequestKind

log = logging.getLogger(__name__)

LOCAL_ANSWERS = 10_000
"""Kept in the process, about a kilobyte each: what there is to go by while Redis is away."""
DIGEST_BYTES = 16
WAIT_S = 0.02
"""Between two looks at what another process is about to answer."""


@dataclass(slots=True, eq=False)
class Turn:
    """One event's way to its answer in this process. `digest` stands for its content, `token` for this attempt.

    `outcome`: what came of it, once something has.
    """

    event_id: str
    digest: bytes
    token: bytes
    explain: bool = False
    outcome: Served | Exception | None = None
    waiting: list[asyncio.Future[Served]] = field(default_factory=list)

    async def answer(self) -> Served:
        """What is decided, by whoever came first.

        Raises: what kept that one from deciding.
        """
        if isinstance(self.outcome, Exception):
            raise self.outcome
        if self.outcome is not None:
            return self.outcome
        waits: asyncio.Future[Served] = asyncio.get_running_loop().create_future()
        self.waiting.append(waits)
        return await waits


class Found(Protocol):
    """What the processes' common memory said of an event."""

    @property
    def digest(self) -> bytes:
        """Of the content that is being, or was, decided on."""

    @property
    def answer(self) -> bytes | None:
        """The answer as it is kept; None while it is being made."""


@dataclass(frozen=True)
class KeptForm:
    """How answers are kept: as envelopes, where a system says nothing else.

    `fields`, hot path, gives what is kept of one. `read` makes one of that, and of what the version before has kept or
    logged; it raises `ContractError` where it cannot. `topics_before`: what the topic of the answers was called.
    """

    fields: Callable[[Served], Mapping[str, object]] = vars
    read: Callable[[bytes], Served] = Served.from_json
    topics_before: frozenset[str] = frozenset()


class SharedAnswers(Protocol):
    """What all processes know of each other's decisions. Only `found` may fail, none makes a request wait."""

    def claim(self, turn: Turn) -> Sequence[Command]:
        """What to ask the store for beside the features, as many commands for every turn."""

    def found(self, turn: Turn, replies: Sequence[object]) -> Found | None:
        """What it knows of the event; None where it is this attempt's to decide.

        Raises: StoreUnavailable: it could not say.
        """

    def keep(self, turn: Turn, answer: bytes) -> None:
        """Remember what was decided, soon."""

    def release(self, turn: Turn) -> None:
        """Nothing came of the attempt: another may begin at once."""

    async def close(self) -> None:
        """Write what is left, and let go."""


@dataclass(slots=True)
class _Known:
    digest: bytes
    answer: bytes
    until_s: float


class Repeats(Generic[E]):
    """Who comes first with an event is answered anew, and who comes again as that one was.

    Args: kind: of the requests; shared: what other processes know; none: this one alone. window_s: for so long an
    answer is kept; 0: not at all, and then each request is the first. form: how an answer is kept; monotonic: seconds
    that never go back.
    """

    def __init__(
        self,
        kind: RequestKind[E],
        shared: SharedAnswers | None,
        *,
        window_s: float,
        form: KeptForm = KeptForm(),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kind, self._form = kind, form
        self._answers = {kind.answers, *form.topics_before}
        self._shared = shared if window_s else None
        self._window_s, self._now = window_s, monotonic
        self._turns: dict[str, Turn] = {}
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._count = 0
        self._recalled: tuple[str, bytes] | None = None
        self._own = blake2b(repr((time.time_ns(), id(self))).encode(), digest_size=8).digest()

    def turn(self, event_id: str, content: bytes, *, explain: bool) -> tuple[Turn, Served | None, bool]:
        """The event's turn, its answer where this process has it, and whether the caller is to answer.

        Args: content: what was sent, in one form whatever way it was written.
        Raises: RepeatedOtherwise: the id was used for another content.
        """
        digest = blake2b(content, digest_size=DIGEST_BYTES).digest()
        if not self._window_s:
            return self._new(event_id, digest, explain=explain), None, True
        going = self._turns.get(event_id)
        if going is not None:
            self._same(event_id, going.digest, digest)
            metrics.REPEATS.labels(self._kind.system, "waited").inc()
            return going, None, False
        turn = self._new(event_id, digest, explain=explain)
        known = self._known.get(event_id)
        if known is not None:
            if self._now() < known.until_s:
                self._same(event_id, known.digest, digest)
                metrics.REPEATS.labels(self._kind.system, "known").inc()
                return turn, self._form.read(known.answer), False
            del self._known[event_id]
        self._turns[event_id] = turn
        return turn, None, True

    def _new(self, event_id: str, digest: bytes, *, explain: bool) -> Turn:
        self._count += 1
        return Turn(event_id, digest, self._own + self._count.to_bytes(8), explain)

    def claim(self, turns: Sequence[Turn]) -> list[Command]:
        """What to ask the store for beside the features of these, for `claimed`."""
        if self._shared is None:
            return []
        return [command for turn in turns for command in self._shared.claim(turn)]

    def claimed(self, turn: Turn, replies: Sequence[object]) -> Found | None:
        """What another attempt has made of the event; None where the caller is to decide.

        Args: replies: to `claim` of it alone.
        Raises: RepeatedOtherwise: the id was used for another content; StoreUnavailable: nobody can say.
        """
        if self._shared is None:
            return None
        found = self._shared.found(turn, replies)
        if found is not None:
            self._same(turn.event_id, found.digest, turn.digest)
        return found

    def unchecked(self, turns: Sequence[Turn]) -> None:
        """Count those that are decided without a word of the other processes: the store does not answer."""
        if self._shared is not None:
            metrics.REPEATS.labels(self._kind.system, "unchecked").inc(len(turns))

    def decided(self, turn: Turn, served: Served) -> None:
        """Take the answer: whoever waits or comes again gets it."""
        self._over(turn, served)
        if not self._window_s:
            return
        # What was answered is kept, so the features as used only where they were asked for.
        fields = self._form.fields(served)
        answer = json_of(fields if turn.explain else {**fields, "features": {}, "seen": {}, "through": {}})
        self._remember(turn, answer)
        if self._shared is not None:
            self._shared.keep(turn, answer)

    def answered(self, turn: Turn, answer: bytes) -> Served:
        """The answer that another process gave, for all who wait for it here."""
        served = self._form.read(answer)
        self._over(turn, served)
        self._remember(turn, answer)
        metrics.REPEATS.labels(self._kind.system, "shared").inc()
        return served

    def failed(self, turn: Turn, error: BaseException) -> None:
        """Nothing came of the attempt, unless it was decided meanwhile: the next may begin."""
        if turn.outcome is not None:
            return
        self._over(turn, error if isinstance(error, Exception) else self.pending())
        if self._shared is not None:
            self._shared.release(turn)

    def recall(self, topic: str, value: bytes) -> None:
        """Take an event that an earlier process wrote down and may not have told anybody of, in the order of writing.

        One that this version cannot read is left out: another wrote it, and the process is to start all the same.

        Args: topic: without a prefix.
        """
        if not self._window_s:
            return
        try:
            if topic == self._kind.topic:
                self._recalled = None
                # As this version writes it: it is held against what a client sends now.
                found = self._kind.of_topic(value)
                digest = blake2b(found.to_json(), digest_size=DIGEST_BYTES).digest()
                self._recalled = (getattr(found, self._kind.id), digest)
            elif topic in self._answers:
                recalled, self._recalled = self._recalled, None
                served = self._form.read(value)
                if recalled is not None and recalled[0] == served.event_id and not served.shadow:
                    self.decided(self._new(*recalled, explain=False), served)
        except ContractError as error:
            metrics.REPEATS.labels(self._kind.system, "unreadable").inc()
            log.debug("a %s that was answered before would not be known again: %s", self._kind.noun, error)

    def pending(self) -> DecisionPending:
        """The answer to who comes again while the first is not done, for too long."""
        return DecisionPending(f"the {self._kind.noun} is being decided on: ask again in a second")

    async def close(self) -> None:
        """Tell the other processes what they have not been told yet."""
        if self._shared is not None:
            await self._shared.close()

    def _over(self, turn: Turn, outcome: Served | Exception) -> None:
        turn.outcome = outcome
        if self._turns.get(turn.event_id) is turn:
            del self._turns[turn.event_id]
        for waits in turn.waiting:
            if waits.done():
                continue
            if isinstance(outcome, Exception):
                waits.set_exception(outcome)
            else:
                waits.set_result(outcome)

    def _remember(self, turn: Turn, answer: bytes) -> None:
        self._known[turn.event_id] = _Known(turn.digest, answer, self._now() + self._window_s)
        if len(self._known) > LOCAL_ANSWERS:
            self._known.popitem(last=False)

    def _same(self, event_id: str, known: bytes, digest: bytes) -> None:
        if known != digest:
            metrics.REPEATS.labels(self._kind.system, "other_content").inc()
            raise RepeatedOtherwise(
                self._kind.id,
                f"{self._kind.noun} {event_id} was sent with another content within {self._window_s:g} s: send what "
                f"was sent before to have its answer, or a new {self._kind.noun} under an id of its own",
            )
