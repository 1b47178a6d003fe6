"""Events on their way to Kafka, written down before a request is answered, until Kafka has acknowledged them.

A line a file `<number>.events`: topic, key and JSON, with tabs between. What is written survives the end of the process
in any way, `kill -9` included; of a machine that loses power the last moments may be lost. The file `acknowledged` says
up to where Kafka has everything; what lies behind is sent again by the next start, so an event may arrive twice but not
never, and in its order.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from lamina.errors import LaminaError

SEGMENT_BYTES = 64 * 2**20
LOCK_WAIT_S = 15.0
SUFFIX = ".events"


class JournalTaken(LaminaError):
    """Another process writes to the folder."""


class JournaledEvent(NamedTuple):
    """One event: the real name of its topic, its key, and its JSON."""

    topic: str
    key: bytes
    value: bytes


class Place(NamedTuple):
    """The end of an event in the journal; places compare as the events were written."""

    segment: int
    offset: int


class Journal:
    """The files of one folder. `append` is for one thread at a time, the rest for one other. `open` comes first."""

    def __init__(self, folder: Path, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._folder, self._segment_bytes = folder, segment_bytes
        self._lock = self._file = self._mark = -1
        self.end = self.acknowledged = Place(0, 0)

    def open(self) -> None:
        """Begin a new file behind those that an earlier process left.

        Raises: JournalTaken: when a process that lives has the folder.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + LOCK_WAIT_S
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise JournalTaken(
                        f"{self._folder} is written by another process: give this one a LAMINA_STACK_DIR of its own"
                    ) from None
                time.sleep(0.1)
        self._mark = os.open(self._folder / "acknowledged", os.O_RDWR | os.O_CREAT, 0o600)
        found = os.pread(self._mark, 64, 0).split()
        numbers = self._numbers()
        first = Place(min(numbers, default=1), 0)
        self.acknowledged = max(Place(int(found[0]), int(found[1])), first) if len(found) == 2 else first
        self._begin(max([*numbers, self.acknowledged.segment, 0]) + 1)

    def append(self, events: Sequence[JournaledEvent]) -> list[Place]:
        """Write `events` down at once; they have reached the operating system when this returns. Hot path."""
        lines = [b"%s\t%s\t%s\n" % (event.topic.encode(), event.key, event.value) for event in events]
        self._write(b"".join(lines))
        segment, offset = self.end
        places = [Place(segment, offset := offset + len(line)) for line in lines]
        self.end = Place(segment, offset)
        if offset >= self._segment_bytes:
            os.close(self._file)
            self._begin(segment + 1)
        return places

    def _write(self, data: bytes) -> None:
        written = 0
        try:
            while written < len(data):
                written += os.write(self._file, data[written:])
        except OSError:
            # A full disk took a part: without it the file ends with an event, as everything here expects.
            os.ftruncate(self._file, self.end.offset)
            raise

    def read(self, after: Place) -> Iterator[tuple[JournaledEvent, Place]]:
        """What was written behind `after`, oldest first, up to the end as it is when the reading comes there.

        A last line that a crash cut short is left out: nobody was answered for it.
        """
        for number in self._numbers():
            if number < after.segment:
                continue
            offset = after.offset if number == after.segment else 0
            with self._name(number).open("rb") as lines:
                lines.seek(offset)
                for line in lines:
                    if not line.endswith(b"\n"):
                        break
                    offset += len(line)
                    topic, key, value = line[:-1].split(b"\t", 2)
                    yield JournaledEvent(topic.decode(), key, value), Place(number, offset)

    def acknowledge(self, place: Place) -> None:
        """Kafka has everything up to `place`: files that lie wholly before it go."""
        os.pwrite(self._mark, b"%020d %020d\n" % place, 0)
        old, self.acknowledged = self.acknowledged, place
        for number in range(old.segment, place.segment):
            self._name(number).unlink(missing_ok=True)

    @property
    def waiting_bytes(self) -> int:
        """Size of what Kafka has not acknowledged yet."""
        total = 0
        for number in self._numbers():
            if number >= self.acknowledged.segment:
                done = self.acknowledged.offset if number == self.acknowledged.segment else 0
                total += max(0, self._name(number).stat().st_size - done)
        return total

    def close(self) -> None:
        """Let the folder go; what waits stays in it."""
        if self._file >= 0:
            if not self.waiting_bytes:
                for number in self._numbers():
                    self._name(number).unlink()
            for descriptor in (self._file, self._mark, self._lock):
                os.close(descriptor)
            self._file = self._mark = self._lock = -1

    def _begin(self, number: int) -> None:
        self._file = os.open(self._name(number), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.end = Place(number, 0)

    def _name(self, number: int) -> Path:
        return self._folder / f"{number:012d}{SUFFIX}"

    def _numbers(self) -> list[int]:
        return sorted(int(file.name.removesuffix(SUFFIX)) for file in self._folder.glob(f"*{SUFFIX}"))
