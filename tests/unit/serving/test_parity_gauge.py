"""The gauge says what the newest parity report says, and keeps its value while none can be read."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

from prometheus_client import REGISTRY

from lamina.lake import layout
from lamina.registry.memory import MemoryRegistry
from lamina.settings import load_settings
from serving.bootstrap import make_service


def test_the_gauge_follows_the_newest_report(tmp_path: Path) -> None:
    service = make_service(load_settings(lake_url=str(tmp_path), stack_dir=tmp_path), registry=MemoryRegistry(tmp_path))

    def shown() -> float | None:
        service.read_parity()
        return REGISTRY.get_sample_value("parity_mismatches", {"system": "fraud"})

    def report(day: date, text: str) -> None:
        folder = Path(layout.parity(str(tmp_path), "fraud", day))
        folder.mkdir(parents=True)
        (folder / "report.json").write_text(text)

    before = shown()
    report(date(2018, 8, 14), json.dumps({"compared": 9, "mismatches": 3}))
    assert before != 3.0 == shown()
    report(date(2018, 8, 15), json.dumps({"compared": 9, "mismatches": 0}))
    assert shown() == 0.0
    report(date(2018, 8, 16), "{")
    assert shown() == 0.0
