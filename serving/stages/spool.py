"""Events that Kafka did not take, in append-only files, until it takes them.

Events are appended to `<topic>.jsonl`. A replay moves that file aside to `<topic>.<number>.replay`, which is removed
only after Kafka has acknowledged all of it: a crash in between repeats events, and readers drop repeated ids, but loses
none.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson


@dataclass(frozen=True)
class SpooledEvent:
    """One event on its way to Kafka."""

    topic: str
    key: bytes
    value: bytes


class Spool:
    """The files of one folder. Safe to use from several threads. The constructor opens nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()

    def append(self, event: SpooledEvent) -> None:
        """Keep `event`; it has reached the operating system when this returns."""
        line = orjson.dumps({"key": event.key.decode(), "value": event.value.decode()}) + b"\n"
        with self._lock:
            self._folder.mkdir(parents=True, exist_ok=True)
            with (self._folder / f"{event.topic}.jsonl").open("ab") as file:
                file.write(line)

    def waiting_bytes(self) -> int:
        """Size of all that waits; 0 when nothing does."""
        with self._lock:
            return sum(file.stat().st_size for file in self._files())

    def take(self) -> list[Path]:
        """Files to replay now, oldest first, later events go to new ones; `read` them, then `remove` each."""
        with self._lock:
            for file in sorted(self._folder.glob("*.jsonl")):
                number = 1 + max((_number(f) for f in self._folder.glob(f"{file.stem}.*.replay")), default=0)
                file.rename(file.with_name(f"{file.stem}.{number:06d}.replay"))
            return sorted(self._folder.glob("*.replay"))

    def read(self, file: Path) -> Iterator[SpooledEvent]:
        """The events of a taken file, in order; a last line that a crash cut short is left out."""
        topic = file.name.rsplit(".", 2)[0]
        with file.open("rb") as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    raw = orjson.loads(line)
                    yield SpooledEvent(topic, raw["key"].encode(), raw["value"].encode())

    def remove(self, file: Path) -> None:
        """Forget a taken file: Kafka has all of it."""
        file.unlink()

    def _files(self) -> Iterator[Path]:
        yield from self._folder.glob("*.jsonl")
        yield from self._folder.glob("*.replay")


def _number(file: Path) -> int:
    return int(file.name.rsplit(".", 2)[1])
