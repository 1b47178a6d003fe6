"""The files of a journal's folder: `<number>.events` with a line an event, a lock, and what Kafka will never take."""

from __future__ import annotations

import fcntl
import logging
import os
import re
import time
from pathlib import Path
from typing import NamedTuple

from lamina.errors import LaminaError

log = logging.getLogger(__name__)

LOCK_WAIT_S = 15.0
SUFFIX = ".events"
UNDELIVERABLE = "undeliverable"
TOPIC = re.compile(rb"[A-Za-z0-9._-]{1,249}")
"""What Kafka takes for the name of a topic."""
TRACE = re.compile(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
"""A `traceparent`, as W3C writes it."""


class JournaledEvent(NamedTuple):
    """One event: the real name of its topic, its key, its JSON, and the trace it is a part of, if anybody traces."""

    topic: str
    key: bytes
    value: bytes
    trace: bytes = b""

    @property
    def line(self) -> bytes:
        """The event as it is written down."""
        if self.trace:
            return b"%s\t%s\t%s\t%s\n" % (self.topic.encode(), self.key, self.value, self.trace)
        return b"%s\t%s\t%s\n" % (self.topic.encode(), self.key, self.value)


class JournalTaken(LaminaError):
    """Another process writes to the folder."""


class Segments:
    """The files of `folder`, by their numbers. The constructor opens nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def lock(self) -> int:
        """Descriptor of the lock that keeps other processes from the folder, which is made where it is not there.

        Raises: JournalTaken: when a process that lives has it, after `LOCK_WAIT_S`.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + LOCK_WAIT_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return lock
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(lock)
                    raise JournalTaken(
                        f"{self._folder} is written by another process: give this one a LAMINA_STACK_DIR of its own"
                    ) from None
                time.sleep(0.1)

    def new(self, number: int) -> int:
        """Descriptor of a file that is written to at its end."""
        return os.open(self.path(number), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def path(self, number: int) -> Path:
        """Where the file of this number is."""
        return self._folder / f"{number:012d}{SUFFIX}"

    def numbers(self) -> list[int]:
        """Numbers of the files there are, ascending."""
        return sorted(int(file.name.removesuffix(SUFFIX)) for file in self._folder.glob(f"*{SUFFIX}"))

    def bytes_before(self, end: int) -> int:
        """Size of all files with a number below `end`."""
        return sum(self.path(number).stat().st_size for number in self.numbers() if number < end)

    def bytes_behind(self, number: int, offset: int) -> int:
        """Size of what was written behind a place in the file of this number."""
        sizes = {n: self.path(n).stat().st_size for n in self.numbers() if n >= number}
        return sum(max(0, size - (offset if n == number else 0)) for n, size in sizes.items())

    def drop_before(self, end: int) -> None:
        """Remove all files with a number below `end`."""
        for number in self.numbers():
            if number < end:
                self.path(number).unlink(missing_ok=True)

    def whole_bytes(self, number: int) -> int:
        """Where the last whole event of a file ends."""
        found = self.path(number).read_bytes()
        end = found.rfind(b"\n") + 1
        while end:
            begin = found.rfind(b"\n", 0, end - 1) + 1
            if parts_of(found[begin:end]):
                break
            end = begin
        return end

    def keep_undeliverable(self, line: bytes) -> Path:
        """Put an event where nothing is deleted; returns the file."""
        file = self._folder / UNDELIVERABLE
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)
        return file


def parts_of(line: bytes) -> tuple[str, bytes, bytes] | tuple[str, bytes, bytes, bytes] | None:
    r"""Topic, key, JSON, and where there is one the trace, of a line; None where it is no event: nothing behind it may
    wait for what nobody can read.

    >>> parts_of(b"labels\tuser-7\t{}\n"), parts_of(b"\0\0\t{}\n")
    (('labels', b'user-7', b'{}'), None)
    """
    topic, *rest = line.removesuffix(b"\n").split(b"\t", 2)
    if len(rest) != 2 or not TOPIC.fullmatch(topic):
        log.error("a line of the journal, of %d bytes, is no event and is left out", len(line))
        return None
    value, tab, trace = rest[1].rpartition(b"\t")
    if tab and TRACE.fullmatch(trace):
        return topic.decode(), rest[0], value, trace
    return topic.decode(), rest[0], rest[1]
