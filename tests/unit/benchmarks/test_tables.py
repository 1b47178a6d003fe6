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
        for key, value in result["figures"].items():
            if found := tables.AT_RATE.fullmatch(key):
                label = f"{int(found['rate']):,} {found['whose'] or ''}".strip()
                [head] = [line for line in section.splitlines() if line.startswith("| at, a second |")]
                [row] = [line for line in section.splitlines() if line.startswith(f"| {label} |")]
                place = head.removesuffix(" |").split(" | ").index(f"`{found['figure']}`")
                assert row.removesuffix(" |").split(" | ")[place].split()[0] == f"{value:,}"
            else:
                assert f"| `{key}` |" in section
