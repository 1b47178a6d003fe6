"""What the page about imports shows is what happens."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import yaml
from typer.testing import CliRunner

from lamina.cli import app
from lamina.ingest.mapping import SHIPPED, TransactionMapping
from lamina.ingest.transactions import import_transactions
from lamina.settings import ROOT

PAGE = (ROOT / "docs" / "concepts" / "import.md").read_text()


def blocks(kind: str) -> list[str]:
    return [textwrap.dedent(block) for block in re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)]


def test_the_five_minutes_are_true(tmp_path: Path) -> None:
    file = tmp_path / "export.csv"
    file.write_text(blocks("csv")[0])
    done = CliRunner().invoke(
        app, ["import", "transactions", str(file), "--guess", "--mapping", str(tmp_path / "g.yaml")]
    )
    assert done.exit_code == 0, done.output
    mapping = TransactionMapping.model_validate(yaml.safe_load(blocks("yaml")[0]))
    report = import_transactions(file, mapping, str(tmp_path / "lake"), salt="pepper", dry_run=True)
    assert (report.read, report.accepted, report.rejected) == (5, 4, 1)
    assert dict(report.reasons) == {"timestamp: is not a date and time": 1}
    guessed = TransactionMapping.model_validate(yaml.safe_load((tmp_path / "g.yaml").read_text()))
    for field in ("file", "transaction_id", "user_id", "card_token", "amount", "merchant_id", "label"):
        assert getattr(guessed, field) == getattr(mapping, field), field


def test_the_mapping_in_full_is_one() -> None:
    assert TransactionMapping.model_validate(yaml.safe_load(blocks("yaml")[1])).label is not None


def test_every_shipped_mapping_is_on_the_page() -> None:
    shown = set(re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.MULTILINE))
    assert shown == {file.stem for file in SHIPPED.glob("*.yaml")}
