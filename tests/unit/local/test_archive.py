from __future__ import annotations

import zipfile
from pathlib import Path

from lamina.local.archive import pack


def _tree(root: Path) -> Path:
    for name in (
        "lamina/__init__.py",
        "lamina/a.py",
        "jobs/__init__.py",
        "jobs/__pycache__/a.cpython-311.pyc",
        "models/__init__.py",
        "serving/x.py",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def test_equal_sources_give_equal_bytes(tmp_path: Path) -> None:
    first = pack(tmp_path / "1.zip", _tree(tmp_path / "one")).read_bytes()
    assert pack(tmp_path / "2.zip", _tree(tmp_path / "two")).read_bytes() == first


def test_it_holds_what_workers_import(tmp_path: Path) -> None:
    with zipfile.ZipFile(pack(tmp_path / "code.zip", _tree(tmp_path))) as archive:
        assert archive.namelist() == ["jobs/__init__.py", "lamina/__init__.py", "lamina/a.py", "models/__init__.py"]
