"""What stands in the way of requests to the whole application; nothing here is connected to anything."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import REGISTRY

from lamina.definitions import system_names
from lamina.orchestration.jobs import has_model
from lamina.registry.memory import MemoryRegistry
from lamina.settings import Settings
from serving.bootstrap import make_app, make_service
from serving.middleware.keys import KeysError
from serving.systems.fraud.routes import TRANSACTION
from tests.unit.serving.in_process import InProcess
from tests.unit.serving.middleware.test_keys import OFFICE, OFFICE_LINE, SHOP, SHOP_LINE, written
from tests.unit.test_systems import IN_THE_MAKING


def statuses(settings: Settings, folder: Path, key: str | None) -> dict[str, int]:
    app = make_app(make_service(settings, registry=MemoryRegistry(folder)))
    headers = {} if key is None else {"X-API-Key": key}

    async def run() -> dict[str, int]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client:
            wrong = await client.post("/fraud/decisions", json=TRANSACTION | {"amount": "much"}, headers=headers)
            admin = await client.get("/admin/models", headers=headers)
            live = await client.get("/health/live", headers=headers)
            assert all(answer.headers["X-Request-ID"] for answer in (wrong, admin, live))
            return {"decide": wrong.status_code, "admin": admin.status_code, "live": live.status_code}

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (None, {"decide": 401, "admin": 401, "live": 200}),
        (SHOP, {"decide": 422, "admin": 403, "live": 200}),
        (OFFICE, {"decide": 403, "admin": 200, "live": 200}),
    ],
)
def test_with_keys(tmp_path: Path, key: str | None, expected: dict[str, int]) -> None:
    file = written(tmp_path, SHOP_LINE, OFFICE_LINE)
    assert statuses(Settings(stack_dir=tmp_path, api_keys_file=file), tmp_path, key) == expected


def test_without_keys_everybody_here_may_do_everything(tmp_path: Path) -> None:
    assert statuses(Settings(stack_dir=tmp_path), tmp_path, None) == {"decide": 422, "admin": 200, "live": 200}


def test_a_wrong_file_of_keys_ends_the_start(tmp_path: Path) -> None:
    service = make_service(
        Settings(stack_dir=tmp_path, api_keys_file=tmp_path / "absent.yaml"), registry=MemoryRegistry(tmp_path)
    )
    with pytest.raises(KeysError, match=r"absent\.yaml"):
        make_app(service)


class TestOnePage:
    """What the application says of itself."""

    def app(self, folder: Path) -> FastAPI:
        return make_app(make_service(Settings(stack_dir=folder), registry=MemoryRegistry(folder)))

    def test_each_system_has_a_section_and_each_error_one_form(self, tmp_path: Path) -> None:
        page = self.app(tmp_path).openapi()
        sections = {section["name"]: section["description"] for section in page["tags"]}
        served = [name for name in system_names() if has_model(name) and name not in IN_THE_MAKING]
        assert [name for name in sections if name not in IN_THE_MAKING] == served
        assert sections["fraud"].startswith("Fraud detection")
        for path in page["paths"].values():
            for operation in path.values():
                assert operation["responses"].keys() & {"422", "4XX"} == set()
                schema = operation["responses"]["default"]["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/Problem"}
        optional = {"features", "seen", "through"}
        assert not optional.intersection(page["components"]["schemas"]["DecisionAnswer"]["required"])

    @pytest.mark.parametrize(("version", "status"), [("1", 200), (None, 200), ("2", 400), ("", 400), ("one", 400)])
    def test_a_version_is_asked_for_by_a_header(self, tmp_path: Path, version: str | None, status: int) -> None:
        headers = {} if version is None else {"X-API-Version": version}
        with httpx.Client(transport=InProcess(self.app(tmp_path)), base_url="http://api") as client:
            found = client.get("/health/live", headers=headers)
        assert (found.status_code, found.headers["X-API-Version"]) == (status, "1")
        if status == 400:
            body = found.json()
            assert (body["error"], body["details"][0]["field"]) == ("unknown_version", "X-API-Version")
            assert "ask for 1" in body["details"][0]["message"]
            assert body["request_id"] == found.headers["X-Request-ID"]


def test_what_is_alerted_on_is_there_before_it_first_happens(tmp_path: Path) -> None:
    """A counter that begins with its first event begins at 1: whoever asks how much it rose sees nothing."""
    settings = Settings(stack_dir=tmp_path / "stack", journal_max_bytes=2**21, journal_max_age_s=77)
    service = make_service(settings, registry=MemoryRegistry(tmp_path))
    there = [
        *(("events_refused_total", {"reason": reason}) for reason in ("size", "age", "disk")),
        *(("invalid_requests_total", {"status": status}) for status in ("500", "503", "504")),
        *((f"{kind}_reloads_total", {"outcome": "refused"}) for kind in ("rules", "experiment")),
        *(("model_reloads_total", {"system": name, "outcome": "refused"}) for name in service.systems),
        *(("repeats_total", {"system": name, "outcome": "unchecked"}) for name in service.systems),
    ]
    assert [name for name, labels in there if REGISTRY.get_sample_value(name, labels) is None] == []
    assert REGISTRY.get_sample_value("journal_max_bytes") == 2**21
    assert REGISTRY.get_sample_value("journal_max_age_seconds") == 77
