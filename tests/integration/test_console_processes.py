"""Two processes of the API on one Redis: the console of each shows what both have answered."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.integration.serving import free_port, until
from tests.integration.test_answered_not_lost import Api

pytestmark = pytest.mark.services
NOBODY = "127.0.0.1:1"
ROW = re.compile(r'<th scope="row">fraud</th><td>[^<]*</td><td>[^<]*</td><td class="n">(\d+)</td>')


def process(folder: Path, redis: str) -> Api:
    folder.mkdir()
    given = {"stack_dir": str(folder / "stack"), "lake_url": str(folder / "lake"), "redis_url": redis}
    given |= {"kafka_bootstrap": NOBODY, "mlflow_uri": f"http://{NOBODY}", "api_port": str(free_port())}
    return Api(given | {"served_systems": "fraud", "api_stop_grace_s": "0"}, folder / "api.log")


def overview(api: Api) -> str:
    page = api.client.get("/console/")
    assert page.status_code == 200
    return page.text


def answers(api: Api) -> int:
    """Of fraud, as the table of traffic has them; what comes after it has other columns."""
    return sum(map(int, ROW.findall(overview(api))))


def test_a_page_of_each_shows_both(clean_redis: str, tmp_path: Path) -> None:
    one, two = process(tmp_path / "one", clean_redis), process(tmp_path / "two", clean_redis)
    try:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(Api.start, (one, two)))
        one.decide(3)
        two.answered = list(one.answered)  # other events: what comes again is answered once
        two.decide(5)
        for api in (one, two):
            assert api.client.post("/console/sign-in", data={"name": "ann"}).status_code == 303
        for api in (one, two):
            until(lambda api=api: answers(api) == 8, within_s=30)
            assert "Traffic of all 2 processes" in overview(api)
        one.end()
        until(lambda: answers(two) == 5, within_s=30)
        assert "Traffic of this process" in overview(two)
    finally:
        for api in (one, two):
            api.kill()
            api.client.close()
