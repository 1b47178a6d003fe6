"""`python -m lamina.local.archive dist/code.zip`: lamina/, jobs/ and models/ in one file; the same bytes each time."""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path

from lamina.settings import ROOT

FOLDERS = ("lamina", "jobs", "models")
# The first moment a zip file can hold.
EPOCH = (1980, 1, 1, 0, 0, 0)
SKIPPED = frozenset({"__pycache__", ".mypy_cache", ".ruff_cache"})


def members(root: Path) -> list[Path]:
    """The files to pack, relative to `root`, in a fixed order: code and the data files beside it."""
    found = (path for folder in FOLDERS for path in (root / folder).rglob("*") if path.is_file())
    return sorted(path.relative_to(root) for path in found if not SKIPPED & set(path.parts) and path.suffix != ".pyc")


def pack(target: Path, root: Path = ROOT) -> Path:
    """`target`, written beside its place and moved there last."""
    target.parent.mkdir(parents=True, exist_ok=True)
    # Two may pack at the same time.
    partial = target.with_suffix(f".{os.getpid()}.partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for member in members(root):
            entry = zipfile.ZipInfo(member.as_posix(), EPOCH)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, (root / member).read_bytes())
    return partial.replace(target)


if __name__ == "__main__":
    pack(Path(sys.argv[1]))
