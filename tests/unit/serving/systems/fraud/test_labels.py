"""Whose word a label may be: what the key says, of this machine anyone's without keys, and nobody's else."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from lamina.contracts.transactions import FRAUD_LABELS
from serving.card_numbers import CardNumbers
from serving.checks import Checks
from serving.middleware.keys import KeysError, load_keys
from serving.systems.fraud.routes import LABEL, fraud_router
from tests.unit.serving.guarded import post_guarded

KEYS = {
    "bank": "scopes: [feedback], sources: [chargeback]",
    "office": "scopes: [feedback], sources: [analyst, customer]",
    "plain": "scopes: [feedback]",
    "admin": "scopes: [feedback, admin]",
}


class Log:
    """An event log that remembers."""

    def __init__(self) -> None:
        self.published: list[tuple[str, str, bytes]] = []

    def publish(self, topic: str, key: str, value: bytes) -> None:
        """Remember it."""
        self.published.append((topic, key, value))


def written(folder: Path, keys: dict[str, str]) -> Path:
    file = folder / "keys.yaml"
    lines = [
        f"  - {{name: {name}, sha256: {sha256(name.encode()).hexdigest()}, {rest}}}" for name, rest in keys.items()
    ]
    file.write_text("\n".join(["keys:", *lines, ""]))
    return file


def post(
    log: Log, source: str, *, keys: Path | None = None, key: str = "", client: str = "127.0.0.1"
) -> httpx.Response:
    router = fraud_router(cast(Any, None), cast(Any, log), Checks(CardNumbers(())))
    return post_guarded(router, "/fraud/labels", {**LABEL, "source": source}, keys=keys, key=key, client=client)


@pytest.mark.parametrize(
    ("key", "may"),
    [
        ("bank", {"chargeback"}),
        ("office", {"analyst", "customer"}),
        ("plain", {"customer"}),
        ("admin", {"chargeback", "analyst", "customer", "simulator"}),
    ],
)
def test_a_key_has_its_sources(tmp_path: Path, key: str, may: set[str]) -> None:
    keys, log = written(tmp_path, KEYS), Log()
    for source in ("chargeback", "analyst", "customer", "simulator"):
        answer = post(log, source, keys=keys, key=key)
        assert answer.status_code == (202 if source in may else 403), source
        if source not in may:
            assert answer.json()["error"] == "forbidden"
            assert [d["field"] for d in answer.json()["details"]] == ["source"]
    assert len(log.published) == len(may), "a refused label is not published"
    assert {topic for topic, _, _ in log.published} == {FRAUD_LABELS}


@pytest.mark.parametrize(("client", "status"), [("127.0.0.1", 202), ("::1", 202), ("10.0.0.7", 403)])
def test_without_keys_labels_come_from_this_machine(client: str, status: int) -> None:
    log = Log()
    assert post(log, "chargeback", client=client).status_code == status
    assert len(log.published) == (status == 202)


def test_sources_without_feedback_are_refused(tmp_path: Path) -> None:
    with pytest.raises(KeysError, match="sources needs the scope feedback"):
        load_keys(written(tmp_path, {"shop": "scopes: [decide], sources: [customer]"}))
    with pytest.raises(KeysError, match=r"keys\.0\.sources"):
        load_keys(written(tmp_path, {"shop": "scopes: [feedback], sources: [hearsay]"}))
