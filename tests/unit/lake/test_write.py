from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import fsspec  # type: ignore[import-untyped]
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from lamina.errors import NameRefused
from lamina.lake import files, write
from lamina.lake.write import SourceWriter, open_lake, replacing, replacing_each, write_partition
from lamina.settings import ROOT


def table(*values: int) -> pa.Table:
    return pa.table({"x": pa.array(values, pa.int64())})


def read(folder: Path) -> list[int]:
    return sorted(ds.dataset(str(folder), format="parquet").to_table()["x"].to_pylist())


def test_a_rerun_replaces_the_partition(tmp_path: Path) -> None:
    target = tmp_path / "events" / "t" / "ingested=2018-04-01"
    assert write_partition(str(target), table(1, 2)) == 2
    assert write_partition(str(target), table(3)) == 1
    assert read(target) == [3]
    assert [entry.name for entry in target.parent.iterdir()] == [target.name]


def test_a_failed_write_leaves_the_old_partition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "day"
    write_partition(str(target), table(1))

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(write, "write_file", fail)
    with pytest.raises(OSError, match="disk full"):
        write_partition(str(target), table(2))
    assert read(target) == [1]
    assert [entry.name for entry in tmp_path.iterdir()] == ["day"]


def test_an_object_store_is_replaced_without_renaming_folders() -> None:
    fs = fsspec.filesystem("memory")
    url = "memory://lake-test/events/t/ingested=2018-04-01"
    write_partition(url, table(1, 2))
    write_partition(url, table(3))
    files = fs.find("/lake-test")
    assert len(files) == 1
    with fs.open(files[0], "rb") as source:
        assert pq.read_table(source)["x"].to_pylist() == [3]


@pytest.mark.parametrize("scheme", ["", "memory://"])
def test_a_source_replaces_its_own_files_only(tmp_path: Path, scheme: str) -> None:
    root = f"{scheme}{tmp_path}/transactions"
    for source, value in (("import-a", 1), ("import-b", 2)):
        with SourceWriter(root, source) as writer:
            writer.add("ingested=2018-04-01", table(value))
            writer.add("ingested=2018-04-01", table(value + 10))
            writer.add("ingested=2018-04-02", table(value))
            assert writer.commit() == 2
    with SourceWriter(root, "import-a") as writer:
        writer.add("ingested=2018-04-01", table(5))
        writer.commit()
    fs, path = write.open_lake(root)
    assert sorted(file.removeprefix(f"{path}/") for file in fs.find(path)) == [
        "ingested=2018-04-01/import-a-00000.parquet",
        "ingested=2018-04-01/import-b-00000.parquet",
        "ingested=2018-04-01/import-b-00001.parquet",
        "ingested=2018-04-02/import-b-00000.parquet",
    ]


def test_a_partial_import_keeps_the_partitions_it_does_not_own(tmp_path: Path) -> None:
    root = str(tmp_path)
    with SourceWriter(root, "import-a") as writer:
        writer.add("ingested=2018-04-01", table(1))
        writer.commit()
    with SourceWriter(root, "import-a", owns=lambda partition: partition >= "ingested=2018-04-02") as writer:
        writer.add("ingested=2018-04-02", table(2))
        writer.commit()
    assert read(tmp_path) == [1, 2]


def test_nothing_is_seen_before_commit(tmp_path: Path) -> None:
    with SourceWriter(str(tmp_path), "import-a") as writer:
        writer.add("ingested=2018-04-01", table(1))
        assert ds.dataset(str(tmp_path), format="parquet").files == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("odd", ["la[k]e", "la*e", "what?", "{a,b}", "a b", "[!x]"])
@pytest.mark.parametrize("scheme", ["", "memory://"])
def test_a_path_is_no_pattern(tmp_path: Path, odd: str, scheme: str) -> None:
    """Neighbours that the path would match as a pattern keep what is theirs."""
    roots = [f"{scheme}{tmp_path}/{name}/t" for name in (odd, "lake", "lae", "whats", "a", "x")]
    for value, root in enumerate(roots):
        for _ in range(2):
            write_partition(f"{root}/day", table(value))
        with SourceWriter(root, "import-a") as writer:
            writer.add("day-b", table(value))
            writer.add("day-b", table(value))
            writer.commit()
    with SourceWriter(roots[0], "import-a") as writer:
        writer.add("day-b", table(0))
        writer.commit()
    for value, root in enumerate(roots):
        fs, path = open_lake(root)
        found = [file for file in fs.find(path) if file.endswith(".parquet")]
        assert len(found) == (3 if value else 2)
        for file in found:
            with fs.open(file, "rb") as opened:
                assert pq.read_table(opened)["x"].to_pylist() == [value]


@pytest.mark.parametrize("name", ["bank*", "bank[1]", "bank?", "../bank", "a/b", "", ".bank", "-rf", "a\nb", "b" * 201])
def test_a_source_is_a_plain_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(NameRefused, match="source"):
        SourceWriter(str(tmp_path), name)


def test_a_source_whose_name_begins_like_anothers_leaves_it_alone(tmp_path: Path) -> None:
    for source in ("import-a", "import-a-00000", "import-a.b", "import-aXb"):
        with SourceWriter(str(tmp_path), source) as writer:
            writer.add("day", table(1))
            writer.commit()
    for source in ("import-a", "import-a.b"):
        with SourceWriter(str(tmp_path), source) as writer:
            writer.add("other-day", table(2))
            writer.commit()
    assert sorted(f.name for f in (tmp_path / "day").iterdir()) == [
        "import-a-00000-00000.parquet",
        "import-aXb-00000.parquet",
    ]


@pytest.mark.parametrize("kind", ["disk", "store"])
def test_many_partitions_are_replaced_together_and_others_stay(tmp_path: Path, kind: str) -> None:
    root = str(tmp_path / "joined") if kind == "disk" else f"memory://{tmp_path.name}/joined"
    for day, value in (("day=1", 1), ("day=2", 2)):
        write_partition(f"{root}/{day}", table(value))
    with replacing_each(root) as staging:
        write_partition(f"{staging}/day=2", table(20))
        write_partition(f"{staging}/day=3", table())
        fs, path = open_lake(root)
        assert len(fs.find(f"{path}/day=2")) == 1, "nothing is moved before all of it is there"
    found = {}
    for folder in files.children(fs, path):
        (file,) = fs.find(folder)
        with fs.open(file, "rb") as source:
            found[files.name_of(folder)] = pq.read_table(source)["x"].to_pylist()
    assert found == {"day=1": [1], "day=2": [20], "day=3": []}
    assert len(fs.find(path, withdirs=False)) == 3, "nothing is left of the staging"


def test_partitions_that_are_not_finished_replace_none(tmp_path: Path) -> None:
    root = str(tmp_path / "joined")
    write_partition(f"{root}/day=1", table(1))
    with pytest.raises(RuntimeError), replacing_each(root) as staging:
        write_partition(f"{staging}/day=1", table(2))
        raise RuntimeError
    assert read(tmp_path / "joined" / "day=1") == [1]
    assert [entry.name for entry in (tmp_path / "joined").iterdir()] == ["day=1"]


def test_on_an_object_store_the_manifest_comes_after_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that finds the new manifest finds the data it speaks of."""
    url = "memory://manifest-test/day"
    moved: list[str] = []
    move = files.move

    def noted(fs: object, origin: str, target: str) -> None:
        moved.append(files.name_of(target))
        move(fs, origin, target)

    monkeypatch.setattr(files, "move", noted)
    with replacing(url) as staging:
        fs, path = open_lake(staging)
        fs.pipe_file(f"{path}/_offsets.json", b"{}")
        for name in ("part-0.parquet", "Apart.parquet", "zpart.parquet"):
            write.write_file(fs, f"{path}/{name}", table(1))
    assert moved == ["Apart.parquet", "part-0.parquet", "zpart.parquet", "_offsets.json"]


def test_a_second_rename_that_fails_puts_the_old_partition_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "day"
    write_partition(str(target), table(1))
    rename, calls = os.rename, list[str]()

    def failing(origin: str, to: str) -> None:
        calls.append(to)
        if len(calls) == 2:
            raise OSError("no space left on device")
        rename(origin, to)

    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(OSError, match="no space left"):
        write_partition(str(target), table(2))
    assert read(target) == [1]
    assert [entry.name for entry in tmp_path.iterdir()] == ["day"]


KILLED = """
import os, signal, sys
import pyarrow as pa
from lamina.lake.write import write_partition

rename, calls = os.rename, []

def killed(origin, to):
    if len(calls) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    calls.append(to)
    rename(origin, to)

os.rename = killed
write_partition(sys.argv[1], pa.table({"x": [2]}))
"""


def kill_writer(target: Path, after_renames: int) -> None:
    """`kill -9` of a process that replaces `target`, before the rename with this number."""
    command = [sys.executable, "-c", KILLED, str(target), str(after_renames)]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -9


@pytest.mark.parametrize("opened", ["ingested=2018-04-01", "."])
@pytest.mark.parametrize("after_renames", [0, 1])
def test_a_writer_that_is_killed_leaves_the_old_partition(tmp_path: Path, after_renames: int, opened: str) -> None:
    """Whoever opens the partition, or the folder that holds it, finds it."""
    target = tmp_path / "ingested=2018-04-01"
    write_partition(str(target), table(1))
    kill_writer(target, after_renames)
    assert target.exists() == (after_renames == 0)
    open_lake(str((tmp_path / opened).resolve()))
    assert read(target) == [1]
    assert not [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(files.ASIDE_PREFIX)]


def test_the_next_writer_goes_on_after_one_that_was_killed(tmp_path: Path) -> None:
    target = tmp_path / "day"
    write_partition(str(target), table(1))
    kill_writer(target, 1)
    with pytest.raises(RuntimeError), replacing(str(target)):
        assert read(target) == [1]
        raise RuntimeError
    assert read(target) == [1]
    kill_writer(target, 1)
    write_partition(str(target), table(3))
    assert read(target) == [3]
    assert not [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(files.ASIDE_PREFIX)]


def test_what_a_killed_writer_had_replaced_already_is_removed(tmp_path: Path) -> None:
    target = tmp_path / "day"
    write_partition(str(target), table(1))
    aside = tmp_path / f"{files.ASIDE_PREFIX}day-{'0' * files.TOKEN_DIGITS}"
    aside.mkdir()
    (aside / "old.parquet").touch()
    open_lake(str(target))
    assert [entry.name for entry in tmp_path.iterdir()] == ["day"]
    assert read(target) == [1]


def test_nobody_repairs_what_a_living_writer_is_about_to_finish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "day"
    write_partition(str(target), table(1))
    rename, between, go_on = os.rename, threading.Event(), threading.Event()

    def slow(origin: str, to: str) -> None:
        if to == str(target):
            between.set()
            assert go_on.wait(30)
        rename(origin, to)

    monkeypatch.setattr(os, "rename", slow)
    writer = threading.Thread(target=write_partition, args=(str(target), table(2)))
    writer.start()
    assert between.wait(30)
    reader = threading.Thread(target=open_lake, args=(str(target),))
    reader.start()
    reader.join(0.2)
    assert reader.is_alive(), "a reader waits for the writer"
    go_on.set()
    writer.join(30)
    reader.join(30)
    assert read(target) == [2]
