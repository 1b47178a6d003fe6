"""Events on their way to Kafka, written down before a request is answered, until Kafka has acknowledged them.

A line a file `<number>.events`: topic, key and JSON, with tabs between, and the trace behind where one is kept. What is
written survives the end of the process in any way, `kill -9` included; of a machine that loses power the last moments
may be lost. The file `acknowledged` says up to where Kafka has everything; what lies behind is sent again by the next
start, so an event may arrive twice but not never, and in its order. `undeliverable` keeps what Kafka will never take.

The journal is bounded, by size and by the age of what waits. Where it is full, or the disk is, it takes nothing more:
what was answered is kept before what was not answered yet.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, NoReturn

from lamina.clock import Clock, system_clock
from lamina.errors import LaminaError
from lamina.monitoring import metrics
from serving.stages.segments import JournaledEvent, Segments, parts_of

log = logging.getLogger(__name__)

SEGMENT_BYTES = 64 * 2**20
SEGMENT_AGE_MS = 3_600_000
"""A file that is older is ended: what Kafka has acknowledged leaves the disk also where little comes."""
LEAST_SEGMENTS = 8
AGES_EVERY_MS = 10_000
PROBE_BYTES = 65_536


class JournalFull(LaminaError):
    """An event cannot be written down, so what it tells of is not answered. `reason` is one word for metrics."""

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)


class Place(NamedTuple):
    """The end of an event in the journal; places compare as the events were written."""

    segment: int
    offset: int


class Journal:
    """The files of one folder. `append` is for one thread at a time, the rest for one other. `open` comes first.

    Args: max_bytes: the most that the files may take; max_age_s: age of the oldest event that waits, in seconds, at
    which nothing more is taken; clock: epoch milliseconds.
    """

    def __init__(
        self,
        folder: Path,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        max_bytes: int | None = None,
        max_age_s: float | None = None,
        clock: Clock = system_clock,
    ) -> None:
        self._folder, self._max_bytes, self._max_age_s, self._clock = folder, max_bytes, max_age_s, clock
        self._segments = Segments(folder)
        self._segment_bytes = segment_bytes if max_bytes is None else min(segment_bytes, max_bytes // LEAST_SEGMENTS)
        self._lock = self._file = self._mark = -1
        self._begun_ms = 0
        self._cut = False
        self._files = threading.Lock()
        self._older_bytes = 0
        # From which place on events are at least as new as that, in epoch milliseconds.
        self._ages: deque[tuple[Place, int]] = deque()
        self.problem: str | None = None
        self.end = self.acknowledged = self._last = Place(0, 0)

    def open(self) -> None:
        """Begin a new file behind those that an earlier process left.

        Raises: JournalTaken: when a process that lives has the folder.
        """
        self._lock = self._segments.lock()
        self._mark = os.open(self._folder / "acknowledged", os.O_RDWR | os.O_CREAT, 0o600)
        found = os.pread(self._mark, 64, 0).split()
        numbers = self._segments.numbers()
        first = Place(min(numbers, default=1), 0)
        self.acknowledged = max(Place(int(found[0]), int(found[1])), first) if len(found) == 2 else first
        # Now, so that its place on the disk is taken: later the disk may be full.
        self._note(self.acknowledged)
        number = max([*numbers, self.acknowledged.segment, 0]) + 1
        self._file = self._segments.new(number)
        self.end, self._begun_ms = Place(number, 0), self._clock()
        self._older_bytes = self._segments.bytes_before(number)
        self._last = self._last_written()
        self._ages.clear()
        if not self._nothing_waits:
            # The last write to the first of the files that wait: the oldest event is at least that old.
            oldest = min(n for n in self._segments.numbers() if n >= self.acknowledged.segment)
            self._ages.append((self.acknowledged, self._segments.path(oldest).stat().st_mtime_ns // 1_000_000))

    def append(self, events: Sequence[JournaledEvent]) -> list[Place]:
        """Write `events` down at once; they have reached the operating system when this returns. Hot path.

        Raises: JournalFull: nothing of them was written; what was written before stays, and the next call tries again.
        """
        lines = [event.line for event in events]
        data = b"".join(lines)
        now_ms = self._clock()
        if lack := self._lack(len(data), now_ms):
            self._refuse(*lack)
        self._write(data)
        segment, offset = begin = self.end
        places = [Place(segment, offset := offset + len(line)) for line in lines]
        if not self._ages or now_ms - self._ages[-1][1] >= AGES_EVERY_MS:
            with self._files:
                if self._nothing_waits:
                    self._ages.clear()
                self._ages.append((begin, now_ms))
        self.end = self._last = Place(segment, offset)
        if offset >= self._segment_bytes or now_ms - self._begun_ms >= SEGMENT_AGE_MS:
            self._roll()
        return places

    def check(self) -> None:
        """See whether events would be taken now, and say so in `problem`; not while another thread appends."""
        # Tried again where no new file could be had: what was refused for its size tries no more by itself.
        if self._file >= 0 and self.end.offset >= self._segment_bytes and self._roll() and self._nothing_waits:
            self._drop_before(self.end.segment)
        # What was full is so until there is room for many.
        room = 1 if self.problem is None else min(PROBE_BYTES, self._segment_bytes)
        if lack := self._lack(room, self._clock()):
            self._trouble(lack[1])
            return
        if self.problem is None:
            return
        # Nothing may come any more that would find out.
        probe = self._folder / "probe"
        try:
            probe.write_bytes(b"\0" * PROBE_BYTES)
        except OSError as error:
            self._trouble(self._unwritable(error)[1])
        else:
            self._well()
        finally:
            with suppress(OSError):
                probe.unlink(missing_ok=True)

    def _lack(self, more: int, now_ms: int) -> tuple[str, str] | None:
        """Why `more` bytes are not taken, in a word and in a sentence; None where there is room for them."""
        if self._file < 0:
            return "closed", f"{self._folder} is not open"
        held = self._older_bytes + self.end.offset
        if self._max_bytes is not None and held + more > self._max_bytes:
            return "size", (
                f"the journal holds {held} bytes that wait for Kafka, of {self._max_bytes} at most: see why Kafka "
                "takes none, or raise LAMINA_JOURNAL_MAX_BYTES"
            )
        if self._max_age_s is not None and (oldest_s := self._oldest_s(now_ms)) > self._max_age_s:
            return "age", (
                f"events have waited for Kafka for {oldest_s:.0f} s, of {self._max_age_s:g} at most: see why Kafka "
                "takes none, or raise LAMINA_JOURNAL_MAX_AGE_S"
            )
        return None

    def _unwritable(self, error: OSError) -> tuple[str, str]:
        return "disk", f"{self._folder} cannot be written ({error.strerror}): make room on its disk"

    def _refuse(self, reason: str, message: str) -> NoReturn:
        metrics.EVENTS_REFUSED.labels(reason).inc()
        self._trouble(message)
        raise JournalFull(reason, message)

    def _trouble(self, message: str) -> None:
        if self.problem is None:
            log.error("%s", message)
        self.problem = message

    def _well(self) -> None:
        if self.problem is not None:
            log.info("the journal takes events again")
            self.problem = None

    def _write(self, data: bytes) -> None:
        """Write all of `data` or nothing; a file that takes no more is changed for a new one."""
        try:
            self._write_once(data)
        except OSError as error:
            # The limit of one file, or a broken block: another file may do. An empty one would be no other.
            if not (self.end.offset and self._roll()):
                self._refuse(*self._unwritable(error))
            try:
                self._write_once(data)
            except OSError as again:
                self._refuse(*self._unwritable(again))
        self._well()

    def _write_once(self, data: bytes) -> None:
        if self._cut:
            os.ftruncate(self._file, self.end.offset)
            self._cut = False
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except OSError:
            # A full disk took a part: without it the file ends with an event, as everything here expects.
            self._cut = True
            os.ftruncate(self._file, self.end.offset)
            self._cut = False
            raise

    def _roll(self) -> bool:
        """Go on in a new file; where none can be had (no descriptors, a full disk) in the old one: whether it went."""
        number = self.end.segment + 1
        try:
            file = self._segments.new(number)
        except OSError as error:
            metrics.JOURNAL_ROLLS_FAILED.inc()
            log.debug("%s cannot be begun: %s", self._segments.path(number), error)
            return False
        with self._files:
            old, self._file = self._file, file
            self._older_bytes += self.end.offset
            self.end, self._begun_ms, self._cut = Place(number, 0), self._clock(), False
        os.close(old)
        return True

    def read(self, after: Place) -> Iterator[tuple[JournaledEvent, Place]]:
        """What was written behind `after`, oldest first, up to the end as it is when the reading comes there.

        A last line that a crash cut short is left out, and so is what `append` is still writing, which a full disk may
        make it take back: nobody was answered for it. So is what is no event, as a loss of power leaves it.
        """
        for number in self._segments.numbers():
            if number < after.segment:
                continue
            offset = after.offset if number == after.segment else 0
            with self._segments.path(number).open("rb") as lines:
                lines.seek(offset)
                for line in lines:
                    if not line.endswith(b"\n"):
                        break
                    offset += len(line)
                    if self._file >= 0 and Place(number, offset) > self.end:
                        return
                    if parts := parts_of(line):
                        yield JournaledEvent(*parts), Place(number, offset)

    def acknowledge(self, place: Place) -> None:
        """Kafka has everything up to `place`: files that lie wholly before it go.

        Raises: OSError: nothing was noted; the same or a later place may be tried again.
        """
        if self.acknowledged.segment != place.segment:
            # Before it is noted: on a full disk the note may need the room. What is gone needs no note.
            self._drop_before(place.segment)
        self._note(place)
        self.acknowledged = place
        with self._files:
            while len(self._ages) > 1 and self._ages[1][0] <= place:
                self._ages.popleft()

    def _drop_before(self, segment: int) -> None:
        self._segments.drop_before(segment)
        with self._files:
            self._older_bytes = self._segments.bytes_before(self.end.segment)

    def _note(self, place: Place) -> None:
        os.pwrite(self._mark, b"%020d %020d\n" % place, 0)

    def keep_undeliverable(self, event: JournaledEvent) -> Path:
        """Put `event` where nothing is deleted: Kafka takes neither it nor a letter about it."""
        return self._segments.keep_undeliverable(event.line)

    @property
    def waiting_bytes(self) -> int:
        """Size of what Kafka has not acknowledged yet."""
        return self._segments.bytes_behind(*self.acknowledged)

    @property
    def oldest_s(self) -> float:
        """Age of the oldest event that waits, in seconds, to ten of them; 0 when none does."""
        with self._files:
            return self._oldest_s(self._clock())

    def _oldest_s(self, now_ms: int) -> float:
        return 0.0 if self._nothing_waits or not self._ages else max(0.0, (now_ms - self._ages[0][1]) / 1000)

    @property
    def _nothing_waits(self) -> bool:
        return self.acknowledged >= self._last

    def close(self) -> None:
        """Let the folder go; what waits stays in it."""
        if self._file < 0:
            return
        try:
            if not self.waiting_bytes:
                self._segments.drop_before(self.end.segment + 1)
        except OSError as error:
            log.warning("files of the journal that are done with stay: %s", error)
        descriptors = (self._file, self._mark, self._lock)
        # Gone from here before they are closed: a closed number may be another file's a moment later.
        self._file = self._mark = self._lock = -1
        for descriptor in descriptors:
            os.close(descriptor)

    def _last_written(self) -> Place:
        """The end of the last whole event on the disk, or what is acknowledged where that is later."""
        for number in reversed(self._segments.numbers()):
            if whole := self._segments.whole_bytes(number):
                return max(self.acknowledged, Place(number, whole))
        return self.acknowledged
