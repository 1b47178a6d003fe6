"""Keys: refused files, refused requests, rates."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
from starlette.responses import JSONResponse

from lamina.monitoring import metrics
from serving.middleware.keys import KeyCheck, KeysError, LocalAdmin, load_keys

SHOP, OFFICE = "shop-secret-0123456789", "office-secret-0123456789"


def digest(key: str) -> str:
    return sha256(key.encode()).hexdigest()


def written(folder: Path, *lines: str) -> Path:
    file = folder / "keys.yaml"
    file.write_text("keys:\n" + "\n".join(f"  - {line}" for line in lines) + "\n")
    return file


SHOP_LINE = f"{{name: shop, sha256: {digest(SHOP)}, scopes: [decide], per_second: 2, burst: 3}}"
OFFICE_LINE = f"{{name: office, sha256: {digest(OFFICE)}, scopes: [feedback, admin]}}"


class Clients:
    """The check before an application that says yes to everything, with a hand on the clock."""

    def __init__(self, folder: Path) -> None:
        self.now_s = 0.0
        keys = load_keys(written(folder, SHOP_LINE, OFFICE_LINE))
        self.app = KeyCheck(JSONResponse({}), keys, monotonic=lambda: self.now_s)

    def get(self, path: str, key: str | None = None) -> httpx.Response:
        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://api") as client:
                return await client.get(path, headers={} if key is None else {"X-API-Key": key})

        return asyncio.run(ask())


@pytest.mark.parametrize(
    ("path", "shop", "office"),
    [
        ("/fraud/decisions", 200, 403),
        ("/fraud/decisions/batch", 200, 403),
        ("/fraud/labels", 403, 200),
        ("/predict", 200, 403),
        ("/admin/rules", 403, 200),
    ],
)
def test_rights(tmp_path: Path, path: str, shop: int, office: int) -> None:
    clients = Clients(tmp_path)
    assert clients.get(path, SHOP).status_code == shop
    assert clients.get(path, OFFICE).status_code == office
    for wrong in (None, "", "shop", digest(SHOP), SHOP + " x"):
        answer = clients.get(path, wrong)
        assert (answer.status_code, answer.json()["error"]) == (401, "unauthorized")


@pytest.mark.parametrize("path", ["/health/ready", "/health/live", "/metrics", "/docs"])
def test_what_is_open(tmp_path: Path, path: str) -> None:
    assert Clients(tmp_path).get(path).status_code == 200


def test_rates(tmp_path: Path) -> None:
    clients = Clients(tmp_path)
    limited = metrics.RATE_LIMITED.labels("shop")._value.get()
    assert [clients.get("/fraud/decisions", SHOP).status_code for _ in range(4)] == [200, 200, 200, 429]
    assert clients.get("/fraud/decisions", SHOP).headers["Retry-After"] == "1"
    assert clients.get("/fraud/labels", OFFICE).status_code == 200, "another key's rate is its own"
    clients.now_s += 0.5
    assert [clients.get("/fraud/decisions", SHOP).status_code for _ in range(2)] == [200, 429]
    clients.now_s += 3600
    assert [clients.get("/fraud/decisions", SHOP).status_code for _ in range(4)] == [200, 200, 200, 429]
    assert metrics.RATE_LIMITED.labels("shop")._value.get() == limited + 4


@pytest.mark.parametrize(("per_second", "at_once"), [(5, 5), (1, 1), (2.5, 3), (0.2, 1)])
def test_without_a_burst_a_seconds_worth_may_come_at_once(tmp_path: Path, per_second: float, at_once: int) -> None:
    line = f"{{name: shop, sha256: {digest(SHOP)}, scopes: [decide], per_second: {per_second}}}"
    now_s = 0.0
    app = KeyCheck(JSONResponse({}), load_keys(written(tmp_path, line)), monotonic=lambda: now_s)

    async def run() -> list[int]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client:
            answers = [await client.get("/predict", headers={"X-API-Key": SHOP}) for _ in range(at_once + 2)]
            return [answer.status_code for answer in answers]

    assert asyncio.run(run()) == [200] * at_once + [429, 429]
    now_s = 3600.0
    assert asyncio.run(run()) == [200] * at_once + [429, 429], "and no more after an hour"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ((), ["keys"]),
        ((SHOP_LINE, SHOP_LINE.replace("name: shop", "name: other")), ["same sha256"]),
        ((SHOP_LINE, OFFICE_LINE.replace("office", "shop")), ["same name"]),
        ((SHOP_LINE.replace("decide", "everything"),), ["keys.0.scopes"]),
        ((SHOP_LINE.replace("[decide]", "[]"),), ["keys.0.scopes"]),
        ((SHOP_LINE.replace("per_second: 2, ", ""),), ["burst needs per_second"]),
        ((SHOP_LINE.replace("sha256", "key"),), ["keys.0.sha256", "keys.0.key"]),
        ((SHOP_LINE.replace(digest(SHOP), SHOP),), ["keys.0.sha256"]),
    ],
)
def test_files_that_are_refused(tmp_path: Path, lines: tuple[str, ...], words: list[str]) -> None:
    with pytest.raises(KeysError) as error:
        load_keys(written(tmp_path, *lines))
    assert str(tmp_path) in str(error.value) and SHOP not in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_no_file_and_no_yaml(tmp_path: Path) -> None:
    with pytest.raises(KeysError, match=r"absent\.yaml"):
        load_keys(tmp_path / "absent.yaml")
    (tmp_path / "keys.yaml").write_text(f"keys: [{SHOP}")
    with pytest.raises(KeysError, match="is not YAML") as error:
        load_keys(tmp_path / "keys.yaml")
    assert SHOP not in str(error.value)


@pytest.mark.parametrize(("client", "status"), [("127.0.0.1", 200), ("::1", 200), ("10.0.0.7", 403)])
def test_without_keys_admin_is_for_this_machine(client: str, status: int) -> None:
    async def ask(path: str) -> int:
        transport = httpx.ASGITransport(LocalAdmin(JSONResponse({})), client=(client, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as asking:
            return (await asking.get(path)).status_code

    assert asyncio.run(ask("/admin/rules")) == status
    assert asyncio.run(ask("/fraud/decisions")) == 200
