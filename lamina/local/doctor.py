"""What a machine must have for the stack, checked one by one."""

from __future__ import annotations

import enum
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psutil

from lamina.errors import StackError
from lamina.local import jars
from lamina.local.layout import flink_env, java
from lamina.local.ports import is_free
from lamina.local.services import PORTS
from lamina.local.services.redis import server
from lamina.settings import ROOT, load_settings

JAVA_MAJOR = 17
MEMORY_GB, DISK_GB, OPEN_FILES = 12, 5, 1024
# As pip compares names: runs of - _ . are one dash.
SEPARATORS = re.compile(r"[-_.]+")
LOCKED = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)(?: *; *([^\\]+))?")


class Verdict(enum.Enum):
    """GOOD, WARN (works all the same) or BAD (will not work)."""

    GOOD = "good"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True)
class Finding:
    """One thing looked at: what, what was found, and what to do unless it is good."""

    what: str
    verdict: Verdict
    found: str
    advice: str = ""


def _judge(what: str, good: bool, found: str, advice: str, otherwise: Verdict = Verdict.BAD) -> Finding:
    return Finding(what, Verdict.GOOD, found) if good else Finding(what, otherwise, found, advice)


def java_major(text: str) -> int | None:
    """The major version in what `java -version` prints.

    >>> java_major('openjdk version "17.0.15" 2025-04-15')
    17
    """
    found = re.search(r'version "(?:1\.)?(\d+)', text)
    return int(found.group(1)) if found else None


def check_python() -> Finding:
    """Python 3.11: what the locks were resolved for."""
    version = ".".join(map(str, sys.version_info[:3]))
    return _judge("Python", sys.version_info[:2] == (3, 11), version, "install Python 3.11, then `make clean env`")


def check_java() -> Finding:
    """Java 17: Spark and Flink both run on it."""
    advice = "install Java 17 (Debian: apt-get install openjdk-17-jre-headless) or set JAVA_HOME to it"
    try:
        done = subprocess.run([java(), "-version"], capture_output=True, text=True, check=False)
    except OSError as error:
        return Finding("Java", Verdict.BAD, f"not found ({error})", advice)
    first = (done.stderr or done.stdout).splitlines()[:1]
    return _judge("Java", java_major(done.stderr + done.stdout) == JAVA_MAJOR, first[0] if first else "silent", advice)


def check_memory() -> Finding:
    """Memory free now."""
    free = psutil.virtual_memory().available / 2**30
    advice = f"the whole demo wants {MEMORY_GB} GB: close something, or start a part with --only"
    return _judge("memory", free >= MEMORY_GB, f"{free:.1f} GB available", advice, Verdict.WARN)


def check_disk(folder: Path) -> Finding:
    """Disk free where the stack lies."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free / 2**30
    return _judge(
        "disk", free >= DISK_GB, f"{free:.0f} GB free for {folder}", f"free {DISK_GB} GB or move LAMINA_STACK_DIR"
    )


def check_open_files() -> Finding:
    """Files one process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _judge("open files", soft >= OPEN_FILES, str(soft), f"run `ulimit -n {OPEN_FILES}` in this shell")


def check_ports() -> Iterator[Finding]:
    """The well-known ports; one that is taken is replaced by a free one."""
    for name, port in PORTS.items():
        if port:
            yield _judge(f"port of {name}", is_free(port), str(port), "taken: a free one will be used", Verdict.WARN)


def check_redis() -> Finding:
    """A Redis server."""
    try:
        return Finding("Redis", Verdict.GOOD, server())
    except StackError as error:
        return Finding("Redis", Verdict.BAD, str(error), "run `make env`, or install redis-server")


def check_jars() -> Iterator[Finding]:
    """Each set of jars."""
    for name, wanted in jars.SETS.items():
        wrong = jars.missing(name)
        if wanted.optional and wrong == jars.NOT_FETCHED:
            continue
        yield _judge(f"jars of {name}", wrong is None, wrong or str(jars.folder(name)), jars.remedy(name))


def locked(lock: Path) -> dict[str, str]:
    """Name and version of each package that a lock pins on every platform."""
    matches = filter(None, map(LOCKED.match, lock.read_text().splitlines()))
    return {SEPARATORS.sub("-", m.group(1)).lower(): m.group(2) for m in matches if not (m.group(3) or "").strip()}


def check_packages(what: str, lock: Path, site: Iterable[str] | None) -> Finding:
    """Whether an environment holds what its lock says. `site` is where its packages lie, default this one's."""
    distributions = metadata.distributions() if site is None else metadata.distributions(path=list(site))
    installed = {SEPARATORS.sub("-", d.metadata["Name"]).lower(): d.version for d in distributions}
    wanted = locked(lock)
    wrong = [
        f"{name} {installed.get(name, 'missing')} not {v}" for name, v in wanted.items() if installed.get(name) != v
    ]
    found = "; ".join(wrong[:3]) + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else "")
    return _judge(what, not wrong, found or f"{len(wanted)} packages as locked", "run `make env`")


def examine() -> list[Finding]:
    """Everything there is to check, in the order in which to mend it."""
    site = sorted(map(str, flink_env().glob("lib/python*/site-packages")))
    simple: list[Callable[[], Finding]] = [check_python, check_java, check_memory, check_open_files, check_redis]
    return [
        *(check() for check in simple),
        check_disk(load_settings().stack_dir),
        *check_ports(),
        *check_jars(),
        check_packages("main environment", ROOT / "requirements" / "main.txt", None),
        check_packages("Flink environment", ROOT / "requirements" / "flink.txt", site),
    ]
