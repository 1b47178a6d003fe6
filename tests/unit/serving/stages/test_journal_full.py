"""A journal that has no descriptors or no room left, in a process of its own whose limits are its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lamina.settings import ROOT


def in_child(tmp_path: Path, code: str) -> str:
    """What `code` prints in a process of its own, whose limits are its own."""
    prelude = """
import os, resource, sys
from pathlib import Path
from serving.stages.journal import Journal, JournalFull, Place
from serving.stages.segments import JournaledEvent
folder = Path(sys.argv[1])
def event(n, size=10):
    return JournaledEvent("transactions", b"user-%d" % n, b"x" * size)
def waiting(journal):
    return [e for e, _ in journal.read(journal.acknowledged)]
def refused(journal, events):
    try:
        journal.append(events)
    except JournalFull as error:
        return error.reason
"""
    done = subprocess.run(
        [sys.executable, "-c", prelude + code, str(tmp_path)], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_without_descriptors_the_file_in_use_stays_and_no_other_is_written(tmp_path: Path) -> None:
    """The journal must roll, and cannot: it goes on in the old file, never in a number that was closed."""
    printed = in_child(
        tmp_path,
        """
journal = Journal(folder / "journal", segment_bytes=100)
journal.open()
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
held = []
try:
    while True:
        held.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    pass
for n in range(10):
    journal.append([event(n, 50)])
os.close(held.pop())
# Whatever is opened next takes the number that is free.
innocent = folder / "innocent"
held.append(os.open(innocent, os.O_RDWR | os.O_CREAT))
for n in range(10, 20):
    journal.append([event(n, 50)])
for descriptor in held:
    os.close(descriptor)
journal.append([event(20, 50)])
files = sorted((folder / "journal").glob("*.events"))
assert innocent.stat().st_size == 0
assert waiting(journal) == [event(n, 50) for n in range(21)]
assert len(files) > 1, "it rolls again once it can"
journal.acknowledge(journal.end)
assert len(list((folder / "journal").glob("*.events"))) == 1
print("well")
""",
    )
    assert printed == "well\n"


def test_a_full_disk_refuses_and_recovers(tmp_path: Path) -> None:
    """A limit of the size of files cuts writes short as a full disk does: a part is written, then none."""
    printed = in_child(
        tmp_path,
        """
journal = Journal(folder / "journal")
journal.open()
journal.append([event(0, 400)])
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
# One file takes no more: another does.
journal.append([event(1, 900)])
# No file takes so much.
assert refused(journal, [event(2, 600), event(3, 600)]) == "disk"
assert "make room" in journal.problem, journal.problem
assert refused(journal, [event(2, 600), event(3, 600)]) == "disk"
assert len(list((folder / "journal").glob("*.events"))) <= 3, "failures leave no files behind"
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journal.append([event(4, 600)])
assert journal.problem is None
assert waiting(journal) == [event(0, 400), event(1, 900), event(4, 600)], "what was refused is not there, not in part"
print("well")
""",
    )
    assert printed == "well\n"


def test_trouble_ends_though_nothing_comes_any_more(tmp_path: Path) -> None:
    """What is not ready is sent nothing, so that no event would find out that the disk is well again."""
    printed = in_child(
        tmp_path,
        """
journal = Journal(folder / "journal")
journal.open()
resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
assert refused(journal, [event(0, 600)]) == "disk"
journal.check()
assert journal.problem is not None, "as full as before"
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journal.check()
assert journal.problem is None
assert [f.name for f in (folder / "journal").iterdir() if f.name == "probe"] == []
print("well")
""",
    )
    assert printed == "well\n"


def test_a_small_full_file_system(tmp_path: Path) -> None:
    """A real file system of 256 KiB, where this process may make one; the limits above stand for it elsewhere."""
    code = """
import subprocess
mounted = folder / "small"
mounted.mkdir()
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(mounted)], check=True)
journal = Journal(mounted / "journal", segment_bytes=100_000)
journal.open()
written = []
while refused(journal, [event(len(written), 3000)]) is None:
    written.append(event(len(written), 3000))
assert len(written) > 60 and "make room" in journal.problem
assert waiting(journal) == written
journal.acknowledge(journal.end)
for _ in range(3):
    journal.append([event(-1, 3000)])
assert journal.problem is None and waiting(journal) == [event(-1, 3000)] * 3
print("well")
"""
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no file system of one's own here")
    prelude = f"import sys; sys.argv = ['-c', {str(tmp_path)!r}]\n"
    script = tmp_path / "script.py"
    script.write_text(
        prelude
        + "from pathlib import Path\nfrom serving.stages.journal import Journal, JournalFull\n"
        + "from serving.stages.segments import JournaledEvent\n"
        + f"folder = Path({str(tmp_path)!r})\n"
        + "def event(n, size): return JournaledEvent('transactions', b'user-%d' % n, b'x' * size)\n"
        + "def waiting(journal): return [e for e, _ in journal.read(journal.acknowledged)]\n"
        + "def refused(journal, events):\n    try:\n        journal.append(events)\n"
        + "    except JournalFull as error:\n        return error.reason\n"
        + code
    )
    done = subprocess.run(
        ["unshare", "-rm", sys.executable, str(script)],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, done.stdout) == (0, "well\n"), done.stderr
