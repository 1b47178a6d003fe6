"""Card numbers in ids, by every route that takes one: refused where the settings say so, and repeated nowhere."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr, ValidationError

from lamina.registry.memory import MemoryRegistry
from lamina.settings import Settings, load_settings
from serving.bootstrap import make_app, make_service
from serving.systems.fraud.routes import LABEL, TRANSACTION

NUMBER = "4111111111111111"
SPELLINGS = [NUMBER, "4111 1111-1111 1111", f"customer-{NUMBER}", f"{NUMBER}-2018-08-08", f"{NUMBER}.0"]
QUESTION = {"user_id": "u1", "item_id": "m1", "model": "nobody"}
DECISION, BATCH, LABELS, PREDICT = "/fraud/decisions", "/fraud/decisions/batch", "/fraud/labels", "/predict"


def post(folder: Path, path: str, body: Any, fields: frozenset[str] | None = None) -> httpx.Response:
    given: dict[str, Any] = {} if fields is None else {"refuse_card_numbers_in": fields}
    # Not the Redis of a stack that runs meanwhile, which would remember what other tests have sent.
    settings = Settings(stack_dir=folder, redis_url=SecretStr("redis://127.0.0.1:1/0"), **given)
    service = make_service(settings, registry=MemoryRegistry(folder / "registry"))
    service.events._journal.open()

    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(make_app(service))
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            return await client.post(path, json=body)

    return asyncio.run(run())


@pytest.mark.parametrize("number", SPELLINGS)
@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (DECISION, TRANSACTION, "user_id"),
        (DECISION, TRANSACTION, "transaction_id"),
        (DECISION, TRANSACTION, "card_token"),
        (LABELS, LABEL, "user_id"),
        (LABELS, LABEL, "transaction_id"),
        (PREDICT, QUESTION, "user_id"),
    ],
)
def test_a_card_number_is_refused_and_not_repeated(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, path: str, body: dict[str, Any], field: str, number: str
) -> None:
    with caplog.at_level(logging.DEBUG):
        answer = post(tmp_path, path, body | {field: number})
    assert answer.status_code == 422
    [detail] = answer.json()["details"]
    assert detail["field"] == field
    assert "card number" in detail["message"]
    for said in (answer.text, caplog.text):
        assert number not in said
        assert NUMBER not in said
    assert not any(NUMBER.encode() in file.read_bytes() for file in tmp_path.glob("journal/*"))


def test_several_at_once_name_the_place(tmp_path: Path) -> None:
    answer = post(tmp_path, BATCH, [TRANSACTION, TRANSACTION | {"user_id": NUMBER}])
    assert (answer.status_code, answer.json()["details"][0]["field"]) == (422, "1.user_id")
    rows = [{"user_id": "u1", "item_id": "m1"}, {"user_id": "u1", "item_id": "m1", "context": {"card_token": NUMBER}}]
    answer = post(tmp_path / "other", f"{PREDICT}/batch", {"model": "nobody", "rows": rows})
    assert (answer.status_code, answer.json()["details"][0]["field"]) == (422, "1.context.card_token")


def test_long_numbers_that_are_no_cards_are_ids(tmp_path: Path) -> None:
    other = NUMBER[:-1] + "2"  # another check digit
    answer = post(tmp_path, DECISION, TRANSACTION | {"user_id": other, "merchant_id": NUMBER})
    assert answer.status_code == 200


def test_the_setting_names_the_fields(tmp_path: Path) -> None:
    body = TRANSACTION | {"user_id": NUMBER, "transaction_id": NUMBER}
    assert post(tmp_path, DECISION, body, frozenset()).status_code == 200
    answer = post(tmp_path / "other", DECISION, TRANSACTION | {"merchant_id": NUMBER}, frozenset({"merchant_id"}))
    assert answer.json()["details"][0]["field"] == "merchant_id"


def test_the_setting_is_a_list_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    for text, fields in (("", set()), ("user_id", {"user_id"}), ("user_id, merchant_id", {"user_id", "merchant_id"})):
        monkeypatch.setenv("LAMINA_REFUSE_CARD_NUMBERS_IN", text)
        assert load_settings().refuse_card_numbers_in == fields
    monkeypatch.setenv("LAMINA_REFUSE_CARD_NUMBERS_IN", "card")
    with pytest.raises(ValidationError, match="merchant_id"):
        load_settings()


@pytest.mark.parametrize(("sent", "taken"), [("596.0", "596"), (" u1 ", "u1")])
def test_ids_are_answered_in_their_one_form(tmp_path: Path, sent: str, taken: str) -> None:
    assert post(tmp_path, DECISION, TRANSACTION | {"user_id": sent}).json()["user_id"] == taken


@pytest.mark.parametrize("word", ["NULL", "nan", "4.0E+15"])
def test_what_is_no_id_is_refused(tmp_path: Path, word: str) -> None:
    answer = post(tmp_path, DECISION, TRANSACTION | {"user_id": word})
    assert (answer.status_code, answer.json()["details"][0]["field"]) == (422, "user_id")
