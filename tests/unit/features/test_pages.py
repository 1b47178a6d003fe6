"""The pages of the docs are what the definitions say."""

from __future__ import annotations

from pathlib import Path

import pytest

from lamina.definitions import load, system_names
from lamina.features import pages
from tests.unit import crossed


def test_the_pages_in_the_docs_are_current() -> None:
    assert not pages.undescribed(), "give these aggregates words in lamina/features/pages.py"
    assert not pages.outdated(), "run `lamina features docs`"


@pytest.mark.parametrize("system", system_names())
def test_every_feature_of_a_view_is_on_its_page(system: str) -> None:
    written = pages.pages()
    for view in load(system).views:
        page = written[f"{view.name}.md"]
        assert all(f"`{f.name}`" in page for f in view.features)
        assert f"({view.name}.md)" in written["index.md"]


def test_writing_mends_what_is_outdated_and_removes_what_is_gone(tmp_path: Path) -> None:
    everything = sorted(pages.pages())
    assert pages.write(tmp_path) == everything
    assert pages.write(tmp_path) == []
    (tmp_path / "index.md").write_text("old")
    (tmp_path / "gone.md").write_text("a view that was removed")
    assert pages.outdated(tmp_path) == ["gone.md", "index.md"] == pages.write(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == everything


def test_what_is_crossed_with_the_request_is_on_the_page_of_what_it_is_made_of() -> None:
    viewed, of_shop = crossed.FEATURES.views
    rows = {line.split(" | ")[0]: line for line in pages.page(crossed.FEATURES, viewed).splitlines()}
    assert rows["| `n`"] == "| `n` | by `country` of the request: FR `french`, BE `belgian`; 0 for any other |  | yes |"
    assert "missing for any other" in rows["| `n_if_known`"]
    assert rows["| `known`"] == "| `known` | 1 where `shops` holds `merchant_id` of the request, else 0 |  | yes |"
    assert {"| `share`", "| `since`"} <= rows.keys()
    assert "| `knows`" not in rows
    assert "| `knows` |" in pages.page(crossed.FEATURES, of_shop)
