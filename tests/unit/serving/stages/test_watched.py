"""Files that change are taken over, once, and again where that failed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from serving.stages.watched import WatchedFiles

AT_NS = 1_700_000_000_000_000_000


def write(file: Path, text: str, ns: int = AT_NS) -> None:
    file.write_text(text)
    os.utime(file, ns=(ns, ns))


@pytest.mark.parametrize(
    ("text", "ns"), [("other", AT_NS), ("first", AT_NS + 1_000_000), ("first", AT_NS - 1_000_000), (None, 0)]
)
def test_a_change_of_size_or_time_or_a_file_that_is_gone_is_seen_once(
    tmp_path: Path, text: str | None, ns: int
) -> None:
    file = tmp_path / "file"
    write(file, "first " if text == "other" else "first")
    watched = WatchedFiles(lambda: [file])
    assert not watched.reload(lambda: True), "nothing has changed"
    if text is None:
        file.unlink()
    else:
        write(file, text, ns)
    assert [watched.reload(lambda: True) for _ in range(2)] == [True, False]


def test_an_empty_file_of_the_epoch_is_there(tmp_path: Path) -> None:
    file = tmp_path / "file"
    watched = WatchedFiles(lambda: [file])
    write(file, "", 0)
    assert watched.reload(lambda: True)


def test_the_answer_is_that_of_taking_over(tmp_path: Path) -> None:
    file = tmp_path / "file"
    watched = WatchedFiles(lambda: [file])
    write(file, "first")
    assert not watched.reload(lambda: False)
    assert not watched.reload(lambda: True), "known, though refused"


def test_a_failure_is_met_again_at_the_next_look(tmp_path: Path) -> None:
    file = tmp_path / "file"
    watched = WatchedFiles(lambda: [file])
    write(file, "first")

    def fails() -> bool:
        raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            watched.reload(fails)
    assert [watched.reload(lambda: True) for _ in range(2)] == [True, False]
