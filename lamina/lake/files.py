"""Files and folders of a lake, whatever characters its path holds, and what a killed writer left behind.

On a local disk a folder is replaced by two renames, and a process can be killed between them: the old folder then lies
aside, and nothing in its place. Whoever opens the place, or the folder that holds it, puts it back first. Renames and
repairs hold the parent folder's lock, so that nobody repairs what a living writer is about to finish.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from lamina.lake.layout import STAGING_PREFIX

ASIDE_PREFIX = f"{STAGING_PREFIX}old-"
TOKEN_DIGITS = 32


def renames_folders(fs: Any) -> bool:
    """Whether `fs` is a disk, where a folder is renamed in one step."""
    protocol = fs.protocol if isinstance(fs.protocol, str) else fs.protocol[0]
    return protocol in ("file", "local")


def children(fs: Any, folder: str) -> list[str]:
    """Paths of what lies directly in `folder`, sorted, without what a writer has staged; none where there is no such
    folder.

    Nothing in `folder` is taken for a pattern, as `fs.glob` would.
    """
    if not fs.exists(folder):
        return []
    paths = (str(path).rstrip("/") for path in fs.ls(folder, detail=False))
    return sorted(path for path in paths if not name_of(path).startswith(STAGING_PREFIX))


def name_of(path: str) -> str:
    """The last part of a path.

    >>> name_of("lake/events/transactions/ingested=2018-04-01")
    'ingested=2018-04-01'
    """
    return path.rstrip("/").rsplit("/", 1)[-1]


def newest_file(fs: Any, folder: str, name: str) -> str | None:
    """Path of the file `name` in the last of the folders in `folder` that has one; None where none has.

    What is named by days is so looked into from the newest on.
    """
    files = (f"{path}/{name}" for path in reversed(children(fs, folder)))
    return next((file for file in files if fs.exists(file)), None)


def move(fs: Any, origin: str, target: str) -> None:
    """Rename a file, or on a disk a folder, to a name that is free or, for a file, is replaced."""
    if renames_folders(fs):
        os.rename(origin, target)
        return
    # `fs.mv` takes brackets for a pattern.
    fs.cp_file(origin, target)
    fs.rm_file(origin)


def move_all(fs: Any, origin: str, target: str) -> None:
    """Move a file or a folder to a name that is free; on an object store file by file, as it has no folders."""
    if renames_folders(fs):
        move(fs, origin, target)
        return
    for file in fs.find(origin):
        move(fs, file, target + file[len(origin) :])


def remove(fs: Any, path: str) -> None:
    """Remove a file, or a folder with all that is in it."""
    if renames_folders(fs):
        fs.rm(path, recursive=True)
        return
    for file in fs.find(path):
        fs.rm_file(file)


def swap(staging: str, path: str, token: str) -> None:
    """Put the folder `staging` of a disk in the place of `path`; when that fails, `path` is as it was."""
    parent, name = path.rsplit("/", 1)
    aside = f"{parent}/{ASIDE_PREFIX}{name}-{token}"
    with _locked(parent):
        there = os.path.lexists(path)
        if there:
            os.rename(path, aside)
        try:
            os.rename(staging, path)
        except OSError:
            if there:
                os.rename(aside, path)
            raise
    if there:
        # Whoever opens the folder now removes it as well.
        shutil.rmtree(aside, ignore_errors=True)


def recover(path: str) -> None:
    """Finish what a killed writer began at `path` of a disk, or directly in it: a folder whose new content never came
    is put back, one that was replaced is removed.
    """
    for folder in (os.path.dirname(path), path):
        if _left_behind(folder):
            with _locked(folder):
                for aside, target in _left_behind(folder):
                    if os.path.lexists(target):
                        shutil.rmtree(aside, ignore_errors=True)
                    else:
                        os.rename(aside, target)


def _left_behind(folder: str) -> list[tuple[str, str]]:
    """Folders that lie aside in `folder`, and where they belong."""
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = [name for name in names if name.startswith(ASIDE_PREFIX)]
    return [(f"{folder}/{n}", f"{folder}/{n[len(ASIDE_PREFIX) : -TOKEN_DIGITS - 1]}") for n in found]


@contextmanager
def _locked(folder: str) -> Iterator[None]:
    """Hold the lock of a folder, which the kernel frees when its holder is killed."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        # Some network file systems lock no folders: there a repair may meet a living writer, which then fails.
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
