"""The bytes of a text file in blocks: unpacked, as UTF-8, without a byte order mark, lines ended by a line feed."""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from lamina.errors import MappingError

BLOCK_BYTES = 16 << 20
UTF_8 = "utf-8"
_MARKS = ((codecs.BOM_UTF8, UTF_8), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_LONGEST_MARK = 3
_NO_TEXT = (
    (b"\x1f\x8b", "is packed by gzip: let its name end in .gz"),
    (b"PK\x03\x04", "is a zip archive or a spreadsheet: unpack it, or save the sheet as CSV"),
    (b"PAR1", "is parquet: let its name end in .parquet, or say file: {kind: parquet} in the mapping"),
)


def blocks(path: Path, encoding: str | None, size: int | None = None) -> Iterator[bytes]:
    """The file in blocks of about `size` bytes (`BLOCK_BYTES`).

    A byte order mark says the encoding, else `encoding`; without both it is UTF-8, which is handed on unchecked.

    Raises: MappingError: the file cannot be unpacked, or is not of its encoding.
    """
    size = size or BLOCK_BYTES
    try:
        with _opened(path) as file:
            first = file.read(max(size, _LONGEST_MARK))
            _refuse_other_kinds(path, first)
            mark, encoding = next(
                ((mark, name) for mark, name in _MARKS if first.startswith(mark)), (b"", encoding or UTF_8)
            )
            first = first[len(mark) :]
            old_mac = b"\r" in first and b"\n" not in first and codecs.lookup(encoding).name == UTF_8
            decode = None if codecs.lookup(encoding).name == UTF_8 else codecs.getincrementaldecoder(encoding)()
            block, done = first or file.read(size), len(mark)
            while block:
                if decode is None:
                    yield block.replace(b"\r", b"\n") if old_mac else block
                else:
                    yield _decoded(decode, block, path, encoding, done)
                done += len(block)
                block = file.read(size)
            if decode is not None:
                yield _decoded(decode, b"", path, encoding, done)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise MappingError(f"{path.name} is broken or no gzip file: {error}. Fetch it again") from None
    except OSError as error:
        raise MappingError(f"{path.name} cannot be read: {error.strerror or error}") from None


def _refuse_other_kinds(path: Path, first: bytes) -> None:
    """Raise: MappingError: when the file begins as one that is no text."""
    for mark, advice in _NO_TEXT:
        if first.startswith(mark):
            raise MappingError(f"{path.name} {advice}")


def _decoded(decode: codecs.IncrementalDecoder, block: bytes, path: Path, encoding: str, done: int) -> bytes:
    try:
        return decode.decode(block, final=not block).encode()
    except UnicodeDecodeError as error:
        at = f"byte {done + error.start:,}"
        raise MappingError(f"{path.name}, {at}: is not {encoding}; correct encoding in the mapping's file") from None


def _opened(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb")  # type: ignore[return-value]
