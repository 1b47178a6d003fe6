"""JSON files as rows: a line each, an array, one after the other; and what stands in them in real files."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pytest

from lamina.errors import MappingError
from lamina.ingest import bytes_of
from lamina.ingest.json_rows import json_batches

ROWS = [{"id": number, "at": {"lat": number / 2, "name": "é\n"}, "none": None} for number in range(40)]
FLAT = [{"id": row["id"], "at.lat": row["at"]["lat"], "at.name": "é\n", "none": None} for row in ROWS]  # type: ignore[index]


def read(path: Path, batch_rows: int = 7, encoding: str | None = None) -> tuple[list[Any], list[Any]]:
    rows: list[Any] = []
    bad: list[Any] = []
    counted = 0
    for batch in json_batches(path, batch_rows, encoding):
        assert batch.rows <= batch_rows
        values = batch.table.to_pylist()
        rows += [(int(n), int(at), row) for n, at, row in zip(batch.numbers, batch.lines, values, strict=True)]
        bad += [(line.number, line.line, line.reason.split(" (")[0], line.text) for line in batch.unreadable]
        counted += batch.rows
    assert counted == len(rows) + len(bad)
    return rows, bad


def put(tmp_path: Path, content: str | bytes, name: str = "a.json") -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("size", [1, 50, 1 << 20])
def test_all_ways_of_writing_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(bytes_of, "BLOCK_BYTES", size)
    lines = "\n".join(json.dumps(row) for row in ROWS)
    for content in (
        lines,
        lines + "\n\n",
        "\ufeff" + lines,
        json.dumps(ROWS),
        "\ufeff" + json.dumps(ROWS, indent=2),
        "\n ".join(json.dumps(row, indent=1, ensure_ascii=False) for row in ROWS),
        "[\n" + ",\n".join(json.dumps(row) for row in ROWS) + "\n]\n",
    ):
        rows, bad = read(put(tmp_path, content))
        assert [(number, row) for number, _, row in rows] == list(enumerate(FLAT, start=1))
        assert not bad
    assert [row for _, _, row in read(put(tmp_path, lines.encode("utf-16")))[0]] == FLAT
    assert [row for _, _, row in read(put(tmp_path, lines.encode("latin-1")), encoding="latin-1")[0]] == FLAT
    assert [row for _, _, row in read(put(tmp_path, gzip.compress(lines.encode()), "a.jsonl.gz"))[0]] == FLAT


def test_a_row_knows_the_line_it_starts_on(tmp_path: Path) -> None:
    rows, _ = read(put(tmp_path, '[\n\n{"a": 1,\n"b": "x\\n"},\n  {"a": 2},\n\n7, {"a": 3}]'))
    assert [(number, line) for number, line, _ in rows] == [(1, 3), (2, 5), (4, 7)]
    rows, bad = read(put(tmp_path, '{"a": 1}\n\n{"a": \n{"a": 2}\n[1]\n"x"\n', "a.jsonl"))
    assert [(number, line) for number, line, _ in rows] == [(1, 1), (3, 4)]
    assert bad == [
        (2, 3, "not JSON", '{"a": '),
        (4, 5, "not a JSON object", "[1]"),
        (5, 6, "not a JSON object", '"x"'),
    ]


@pytest.mark.parametrize("size", [3, 4, 5, 1 << 20])
def test_a_number_is_not_cut_by_a_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(bytes_of, "BLOCK_BYTES", size)
    rows, bad = read(put(tmp_path, '[123456789, {"a": 1}, 12]'))
    assert [row for _, _, row in rows] == [{"a": 1}]
    assert [text for *_, text in bad] == ["123456789", "12"]


def test_nothing_and_no_number_are_read_as_in_csv(tmp_path: Path) -> None:
    content = '{"a": "", "b": NaN, "c": {"d": ""}}\n{"a": "x", "b": -Infinity, "c": {"d": 1}}\n'
    for written in (content, "[" + content.strip().replace("\n", ",") + "]"):
        rows, bad = read(put(tmp_path, written))
        assert not bad
        first, second = (row for _, _, row in rows)
        assert (first["a"], first["c.d"]) == (None, None)
        assert first["b"] != first["b"]
        assert second == {"a": "x", "b": -float("inf"), "c.d": 1}


def test_long_integers_stay_exact(tmp_path: Path) -> None:
    numbers = [2**53 + 1, 2**64, 10**30, 1]
    lines = "\n".join(f'{{"a": {number}}}' for number in numbers)
    for content in (lines, f"[{lines.replace(chr(10), ',')}]"):
        assert [str(row["a"]) for _, _, row in read(put(tmp_path, content))[0]] == [str(number) for number in numbers]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"a": 1},\n{"a": }]', r"a\.json, line 2: not JSON"),
        ('[{"a": 1},\n{"a": 2}', r"a\.json, line 2: the array is not closed"),
        ('[{"a": 1}]\n[{"a": 2}]', r"a\.json, line 1: something follows"),
        ('{\n"a": 1\n}\n{\n"a"\n}', r"a\.json, line 6: not JSON"),
    ],
)
def test_what_ends_an_array_early_is_told_with_its_line(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(MappingError, match=message):
        read(put(tmp_path, content))


def test_deep_and_odd_values_cost_their_line(tmp_path: Path) -> None:
    lines = [
        "[" * 100_000,
        '{"a": ' * 100_000,
        '{"a": ' + "9" * 5000 + ".x}",
        '{"a": "\xff"}'.encode("latin-1").decode("latin-1"),
    ]
    path = put(tmp_path, b'{"a": 1}\n' + b"\n".join(line.encode("latin-1") for line in lines) + b"\n", "a.jsonl")
    rows, bad = read(path)
    assert [row for _, _, row in rows] == [{"a": 1}]
    assert [reason for _, _, reason, _ in bad] == ["not JSON"] * 4


def test_any_cut_into_blocks_gives_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(2)
    content = json.dumps(ROWS, indent=1)
    for _ in range(5):
        monkeypatch.setattr(bytes_of, "BLOCK_BYTES", rng.randrange(3, 300))
        assert [row for _, _, row in read(put(tmp_path, content))[0]] == FLAT


def test_a_file_of_rejects_stands_for_its_rows(tmp_path: Path) -> None:
    rejects = [
        {"row": 7, "line": 9, "reason": "amount: is missing", "original": {"id": "t7", "cents": "12"}},
        {"row": 9, "line": 12, "reason": "line: no", "original": "too,few"},
        {"row": 11, "line": 14, "reason": "no", "original": {"id": "t11", "card": "***"}},
        {"row": 12, "line": 15, "reason": "no", "original": {"id": "t12", "note": "paid with ************5083"}},
    ]
    rows, bad = read(put(tmp_path, "\n".join(json.dumps(row) for row in rejects)))
    assert rows == [(7, 9, {"id": "t7", "cents": "12"})]
    assert [(number, line, reason.split(" ")[0]) for number, line, reason, _ in bad] == [
        (9, 12, "is"), (11, 14, "card"), (12, 15, "note"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
@pytest.mark.parametrize("half", [r"\ud800", r"\uDFFF", r"\ud83d x", r"\udc00\ud800"])
def test_half_of_a_surrogate_pair_costs_its_row(tmp_path: Path, name: str, half: str) -> None:
    rows = [r'{"id": "t\ud83d\ude00"}', f'{{"id": "t{half}"}}', '{"id": "t3"}']
    content = "\n".join(rows) if name == "a.jsonl" else f"[{', '.join(rows)}]"
    found, bad = read(put(tmp_path, content, name))
    assert [row["id"] for _, _, row in found] == ["t\U0001f600", "t3"]
    assert [(number, problem) for number, _, problem, _ in bad] == [
        (2, "holds half of a surrogate pair, which is no text")
    ]
    assert [text for *_, text in bad] == [rows[1]]
