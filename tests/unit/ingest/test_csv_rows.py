"""CSV files cut into rows: against Python's csv, in blocks of any size, and with what goes wrong in real files."""

from __future__ import annotations

import csv
import gzip
import io
import random
from pathlib import Path
from typing import Any

import pytest

from lamina.errors import MappingError
from lamina.ingest import bytes_of, csv_cutter, csv_rows
from lamina.ingest.csv_rows import csv_batches

Row = tuple[int, int, Any]
NAMES = ["a", "b", "c"]


def read(path: Path, **options: Any) -> tuple[list[Row], list[Row]]:
    """Rows and unreadable lines of a file, each with its number and its line; the reader's count is held to them."""
    rows: list[Row] = []
    bad: list[Row] = []
    counted = 0
    for batch in csv_batches(path, **options):
        values = batch.table.to_pylist()
        rows += [
            (int(number), int(line), tuple(row.values()))
            for number, line, row in zip(batch.numbers, batch.lines, values, strict=True)
        ]
        bad += [(line.number, line.line, line.reason) for line in batch.unreadable]
        counted += batch.rows
    assert counted == len(rows) + len(bad)
    assert sorted(number for number, *_ in [*rows, *bad]) == list(range(1, counted + 1))
    return rows, bad


def put(tmp_path: Path, content: str | bytes, name: str = "a.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("size", [1, 3, 7, 64, 1 << 20])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_rows_are_those_of_pythons_csv_whatever_the_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, newline: str
) -> None:
    monkeypatch.setattr(bytes_of, "BLOCK_BYTES", size)
    rng = random.Random(size)
    pieces = ["x", "é", '"', ",", "\n", newline, " ", "", "17", "日本", "'", ";"]
    for _ in range(20):
        rows = [["".join(rng.choices(pieces, k=rng.randrange(4))) for _ in NAMES] for _ in range(30)]
        # Lines of a value that have commas enough to be rows are taken for rows: other tests.
        rows = [[value.replace(",", ";") if "\n" in value else value for value in row] for row in rows]
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator=newline, quoting=rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
        writer.writerows([NAMES, *rows])
        content = text.getvalue()
        path = put(tmp_path, content if rng.random() < 0.5 else content.removesuffix(newline))
        found, bad = read(path)
        expected = list(csv.reader(io.StringIO(content, newline="")))[1:]
        # A row of three empty values is `,,`: only the file's very last one could be lost.
        assert [list(values) for _, _, values in found] == [[value or None for value in row] for row in expected]
        assert not bad


def test_any_line_that_pythons_csv_reads_strictly_is_read_alike(tmp_path: Path) -> None:
    rng = random.Random(9)
    pieces = ["x", '"', '""', ";", " ", "", "17", "é", "\t", "\x00", "'", "\\"]
    parts = [["".join(rng.choices(pieces, k=rng.randrange(5))) for _ in NAMES] for _ in range(6000)]
    lines = [",".join(values) + "z" for values in parts]
    expected = []
    for line in lines:
        try:
            expected.append(next(csv.reader([line], strict=True)))
        except csv.Error:
            expected.append([])
    good = [line for line, values in zip(lines, expected, strict=True) if len(values) == 3]
    assert len(good) > 500
    rows, bad = read(put(tmp_path, "\n".join(["a,b,c", *good]) + "\n"))
    wanted = [values for values in expected if len(values) == 3]
    assert [list(values) for _, _, values in rows] == [[value or None for value in values] for values in wanted]
    assert not bad


def test_numbers_and_lines_are_those_of_the_file(tmp_path: Path) -> None:
    path = put(tmp_path, 'a,b,c\n1,"two\nlines",x\n\n2,too few\n3,"q""q",y\n4,a,b,c\n5,,z\n')
    rows, bad = read(path)
    assert rows == [(1, 2, ("1", "two\nlines", "x")), (3, 6, ("3", 'q"q', "y")), (5, 8, ("5", None, "z"))]
    assert bad == [
        (2, 5, "2 columns where the header has 3"),
        (4, 7, "4 columns where the header has 3"),
    ]


@pytest.mark.parametrize("size", [16, 200, 1 << 20])
@pytest.mark.parametrize("closing", ["", '"', 'x"', '"x'])
def test_a_quote_that_is_not_closed_costs_its_own_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closing: str, size: int
) -> None:
    monkeypatch.setattr(bytes_of, "BLOCK_BYTES", size)
    lines = [f"{number},plain,z" for number in range(2000)]
    lines[10] = '10,"stray,z'
    if closing:
        lines[700] = f"700,{closing},z"
    rows, bad = read(put(tmp_path, "\n".join(["a,b,c", *lines]) + "\n"))
    assert bad[0] == (11, 12, "a quote is opened and not closed")
    assert len(bad) == (2 if closing in ('"', '"x') else 1)
    assert len(rows) + len(bad) == 2000
    assert [row for row in rows if row[0] not in (11, 701)] == [
        (n + 1, n + 2, (str(n), "plain", "z")) for n in range(2000) if n not in (10, 700)
    ]


def test_a_stray_quote_before_quoted_values_costs_its_own_line(tmp_path: Path) -> None:
    lines = [f'{number},"a, b",z' for number in range(50)]
    lines[10] = '10,"a, b,z'
    rows, bad = read(put(tmp_path, "\n".join(["a,b,c", *lines]) + "\n"))
    assert [number for number, *_ in bad] == [11]
    assert len(rows) == 49


def test_a_quote_never_closed_does_not_take_the_file_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bytes_of, "BLOCK_BYTES", 1000)
    for module in (csv_cutter, csv_rows):
        monkeypatch.setattr(module, "MAX_ROW_BYTES", 5000)
    content = "a,b,c\n" + '0,"stray,z\n' + "1,x,z\n" * 5000
    longest = 0

    class Watched(csv_cutter.Cutter):
        def cut(self, text: bytes, last: bool) -> Any:
            nonlocal longest
            longest = max(longest, len(text))
            return super().cut(text, last)

    monkeypatch.setattr(csv_rows, "Cutter", Watched)
    rows, bad = read(put(tmp_path, content))
    assert (len(rows), len(bad)) == (5000, 1)
    assert longest < 8000


def test_what_is_no_csv_within_a_line_is_that_lines(tmp_path: Path) -> None:
    content = b'a,b,c\n1,"x"y,z\n2,caf\xe9,z\n3,x\ry,z\n4,5" pipe,z\n5,"\xff",z\n6,\xc3\xa9,z\n'
    rows, bad = read(put(tmp_path, content))
    assert rows == [(4, 5, ("4", '5" pipe', "z")), (6, 7, ("6", "é", "z"))]
    assert [number for number, *_ in bad] == [1, 2, 3, 5]
    assert "is not UTF-8: say encoding" in bad[1][2]
    assert "is not UTF-8: say encoding" in bad[3][2]


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("latin-1", b""),
        ("cp1252", b""),
        ("utf-8", b"\xef\xbb\xbf"),
        ("utf-16-le", b"\xff\xfe"),
        ("utf-16-be", b"\xfe\xff"),
    ],
)
@pytest.mark.parametrize("size", [1, 5, 1 << 20])
def test_encodings_and_marks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, mark: bytes, size: int
) -> None:
    monkeypatch.setattr(bytes_of, "BLOCK_BYTES", size)
    path = put(tmp_path, mark + "a,b,c\r\n1,café,ü\r\n".encode(encoding))
    for said in [encoding] if not mark else [encoding, None, "latin-1"]:
        rows, bad = read(path, encoding=said)
        assert (rows, bad) == ([(1, 2, ("1", "café", "ü"))], [])


def test_other_shapes(tmp_path: Path) -> None:
    assert read(put(tmp_path, "a\tb\tc\n1\t2\t3\n"), wanted=["c"])[0] == [(1, 2, ("1", "2", "3"))]
    assert read(put(tmp_path, "a|b|c\n1|2|3\n"), wanted=["a", "b"])[0] == [(1, 2, ("1", "2", "3"))]
    assert read(put(tmp_path, 'a;b;c\n1,5;"2;5";3\n'), wanted=["a"])[0] == [(1, 2, ("1,5", "2;5", "3"))]
    assert read(put(tmp_path, "a:b:c\n1:2:3\n"), separator=":")[0] == [(1, 2, ("1", "2", "3"))]
    assert read(put(tmp_path, "1;2;3\n4;5;6\n"), names=NAMES)[0] == [(1, 1, ("1", "2", "3")), (2, 2, ("4", "5", "6"))]
    assert read(put(tmp_path, "a,b,c\r1,2,3\r4,5,6\r"))[0] == [(1, 2, ("1", "2", "3")), (2, 3, ("4", "5", "6"))]
    assert read(put(tmp_path, "a,b,c\n"))[0] == read(put(tmp_path, "a,b,c"))[0] == []
    assert read(put(tmp_path, '"a","b\nb","c"\n1,2,3\n'))[0] == [(1, 3, ("1", "2", "3"))]
    packed = put(tmp_path, gzip.compress(b"a,b,c\n1,2,3\n"), "a.csv.gz")
    assert read(packed)[0] == [(1, 2, ("1", "2", "3"))]


def test_a_file_of_long_multi_line_values_is_read_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bytes_of, "BLOCK_BYTES", 4096)
    note = "first line, with a comma\nsecond\n" * 30
    content = "a,b,c\n" + "".join(f'{number},"{note}",z\n' for number in range(300))
    rows, bad = read(put(tmp_path, content))
    assert [values for _, _, values in rows] == [(str(number), note, "z") for number in range(300)]
    assert not bad


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"", {}, "is empty"),
        (b"\n\n", {}, "is empty"),
        (b"caf\xe9,b\n1,2\n", {}, r"line 1, byte 4: is not UTF-8; say encoding"),
        ("a,b\n1,2\n".encode("utf-16-le"), {}, r"line 1: holds zero bytes; say encoding"),
        ("a,b\n1,é\n".encode(), {"encoding": "ascii"}, r"byte 6: is not ascii; correct encoding"),
    ],
)
def test_a_file_that_cannot_be_read_says_where_and_what_to_do(
    tmp_path: Path, content: bytes, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(MappingError, match=message):
        read(put(tmp_path, content), **options)


def test_a_gzip_file_that_breaks_off_is_said_to(tmp_path: Path) -> None:
    whole = gzip.compress(random.Random(1).randbytes(20_000).hex().encode())
    for content in (whole[:-2000], b"no gzip at all"):
        with pytest.raises(MappingError, match=r"a\.csv\.gz is broken or no gzip file"):
            read(put(tmp_path, content, "a.csv.gz"))
