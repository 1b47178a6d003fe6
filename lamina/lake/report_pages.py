"""Pages of reports in the lake for whoever shows them to people: found by names that can lead nowhere else.

`monitoring/fraud/performance/hour=2018-08-21T07` has `report.html`, or where a report has no page `report.json`; a
training has `evaluation.json`. A page is shown with `HEADERS`: it can run nothing and load nothing, as a text in it may
be of somebody outside.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lamina.errors import LaminaError
from lamina.lake.write import open_lake

FOLDERS = frozenset({"label_joins", "monitoring", "parity", "quality", "training"})
JSON = "application/json"
PAGES = {"report.html": "text/html; charset=utf-8", "report.json": JSON, "evaluation.json": JSON}
LARGEST_BYTES = 32 * 1024 * 1024
"""Of a page."""
PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.=-]{0,199}")
HEADERS = {
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class NoSuchReport(LaminaError):
    """A folder that holds no reports, or has none."""


class PageTooLarge(LaminaError):
    """A page that would fill the memory of whoever shows it."""


@dataclass(frozen=True)
class Page:
    """What is shown of a report. media_type: of `content`, for HTTP."""

    content: bytes
    media_type: str


def read_page(lake: str, folder: str) -> Page:
    """The page of the report in a folder of the lake, such as `parity/fraud/2018-08-21`.

    Raises: NoSuchReport: only folders that hold reports are looked into, and this one has none, or is none of them;
        PageTooLarge: it has more than `LARGEST_BYTES`.
    """
    fs, path = open_lake(f"{lake.rstrip('/')}/{'/'.join(_parts(folder))}")
    for name, media_type in PAGES.items():
        if fs.isfile(f"{path}/{name}"):
            size = fs.size(f"{path}/{name}")
            if size > LARGEST_BYTES:
                raise PageTooLarge(f"{folder}/{name} has {size} bytes: open it in the lake itself")
            return Page(fs.cat_file(f"{path}/{name}"), media_type)
    raise NoSuchReport(f"{folder} has no report: run its task again")


def _parts(folder: str) -> list[str]:
    parts = folder.rstrip("/").split("/")
    if parts[0] not in FOLDERS or not all(PART.fullmatch(part) for part in parts):
        raise NoSuchReport("there is no such report")
    return parts
