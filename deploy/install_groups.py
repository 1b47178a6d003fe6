"""`install_groups.py LOCK GROUP ...`: install groups of pyproject.toml, pinned and hash-checked by the lock."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path


def main(lock: str, *groups: str) -> None:
    """Resolve the groups under the lock as constraint, then install that with the lock's hashes."""
    with tempfile.TemporaryDirectory() as folder:
        chosen = Path(folder) / "requirements.txt"
        wanted = [part for group in groups for part in ("--group", group)]
        # The lock as the output to start from: uv keeps its versions and its hashes.
        chosen.write_text(Path(lock).read_text())
        resolve = ["uv", "pip", "compile", "--quiet", "--generate-hashes", "--no-header", "--python-version", "3.11"]
        subprocess.run([*resolve, "-c", lock, *wanted, "-o", str(chosen), "pyproject.toml"], check=True)
        install = ["uv", "pip", "install", "--system", "--no-cache", "--require-hashes", "-r", str(chosen)]
        subprocess.run(install, check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
