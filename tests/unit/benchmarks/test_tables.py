from __future__ import annotations

import json

from benchmarks import tables


def test_the_page_is_made_from_the_results_that_are_kept() -> None:
    assert tables.PAGE.read_text() == tables.page(), "run `python -m benchmarks.tables`"


def test_every_figure_of_every_result_is_on_the_page() -> None:
    page = tables.page()
    for file in (tables.HERE / "results").glob("*.json"):
        result = json.loads(file.read_text())
        section = page.partition(f"## {result['name']}\n")[2].partition("\n## ")[0]
        assert all(f"| `{key}` |" in section for key in result["figures"])
