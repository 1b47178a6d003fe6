from __future__ import annotations

from pathlib import Path

import fsspec  # type: ignore[import-untyped]
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from lamina.lake import write
from lamina.lake.write import SourceWriter, write_partition


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
