"""Files that are taken over again when they change."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path


class WatchedFiles:
    """Tells when files have changed. A file that is gone differs from one that is there.

    Args: files: those to look at; they may be others after something was taken over.
    """

    def __init__(self, files: Callable[[], Iterable[Path]]) -> None:
        self._files = files
        self.note()

    def note(self) -> None:
        """Take the files as they are now for known."""
        self._state = self._now()

    def reload(self, take_over: Callable[[], bool]) -> bool:
        """What `take_over` says where a file has changed, else False."""
        state = self._now()
        if state == self._state:
            return False
        before, self._state = self._state, state
        try:
            return take_over()
        except Exception:
            # Whatever this was, it is met again at the next look, not forgotten.
            self._state = before
            raise

    def _now(self) -> list[tuple[str, int, int]]:
        return [_state_of(path) for path in self._files()]


def _state_of(path: Path) -> tuple[str, int, int]:
    try:
        found = path.stat()
    except OSError:
        return (str(path), 0, -1)
    return (str(path), found.st_mtime_ns, found.st_size)
