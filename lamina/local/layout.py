"""Where everything of one stack lies: one folder for data, logs and the files of a running stack."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from lamina.settings import ROOT, STACK_ENV

# The kernel's limit for the path of a Unix socket is 108 bytes on Linux, 104 on macOS; the closing zero counts.
SOCKET_PATH_LIMIT = 100


@dataclass(frozen=True)
class Layout:
    """Paths of the stack in `stack_dir`.

    >>> Layout(Path("/srv/stack")).log("redis").as_posix()
    '/srv/stack/logs/redis.log'
    """

    stack_dir: Path
    root: Path = ROOT

    @property
    def data(self) -> Path:
        """What must outlive a restart: broker log, databases, checkpoints."""
        return self.stack_dir / "data"

    @property
    def logs(self) -> Path:
        """One log a program."""
        return self.stack_dir / "logs"

    @property
    def run(self) -> Path:
        """Pid, socket, generated configuration, chosen ports and secrets."""
        return self.stack_dir / "run"

    @property
    def env_file(self) -> Path:
        """The addresses of the running stack, read by `lamina.settings`; exists only while it runs."""
        return self.stack_dir / STACK_ENV

    @property
    def airflow_home(self) -> Path:
        """Airflow's own folder: its database and the logs of tasks."""
        return self.data / "airflow"

    @property
    def socket(self) -> Path:
        """The supervisor's socket; in the system's temporary folder where the stack's path is too long for one."""
        path = self.run / "supervisor.sock"
        if len(os.fsencode(path)) <= SOCKET_PATH_LIMIT:
            return path
        digest = hashlib.sha256(os.fsencode(self.stack_dir)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"lamina-{digest}.sock"

    def log(self, program: str) -> Path:
        """The log of one program."""
        return self.logs / f"{program}.log"

    def make(self) -> None:
        """Create the folders; only the owner may read what is generated in `run`."""
        for folder in (self.data, self.logs, self.run):
            folder.mkdir(parents=True, exist_ok=True)
        self.run.chmod(0o700)


def main_bin(name: str) -> Path:
    """A program of the main environment, the one this interpreter belongs to."""
    return Path(sys.prefix) / "bin" / name


def flink_env(root: Path = ROOT) -> Path:
    """The environment that holds PyFlink and its Flink distribution."""
    return root / ".venv-flink"


def flink_home(root: Path = ROOT) -> Path:
    """The Flink distribution inside the PyFlink wheel."""
    return (
        flink_env(root)
        / "lib"
        / f"python{sys.version_info.major}.{sys.version_info.minor}"
        / "site-packages"
        / "pyflink"
    )


def java() -> str:
    """The `java` to run: that of JAVA_HOME, else the one on the path."""
    home = os.environ.get("JAVA_HOME")
    return str(Path(home) / "bin" / "java") if home else "java"
