"""Posting is open-loop: a slow answer delays neither the next request nor the clock that latency counts from."""

from __future__ import annotations

import asyncio

import orjson
from aiohttp import web
from aiohttp.test_utils import TestServer

from lamina.demo.live import LiveResult, Post, Route, in_order, post_all

DECISIONS = Route("transactions", "/fraud/decisions", "transactions", is_answered=True)
LABELS = Route("fraud-labels", "/fraud/labels", "labels")


def post_to(handler_delay_s: float, posts: list[Post], rate_s: float) -> tuple[LiveResult, list[str], int]:
    """The result, the paths in order of arrival, and the most requests under way at once."""
    paths: list[str] = []
    open_now, most = 0, 0

    async def handle(request: web.Request) -> web.Response:
        nonlocal open_now, most
        paths.append(request.path)
        open_now += 1
        most = max(most, open_now)
        await asyncio.sleep(handler_delay_s)
        open_now -= 1
        if await request.read() == b"bad":
            return web.json_response({"detail": "no"}, status=422)
        return web.json_response({"action": "approve"})

    async def run() -> LiveResult:
        app = web.Application()
        app.router.add_post("/{path:.*}", handle)
        async with TestServer(app) as server:
            return await post_all(str(server.make_url("/")), posts, rate_s, lambda: None)

    return asyncio.run(run()), paths, most


def test_posts_go_out_by_event_time_labels_first() -> None:
    posts = in_order([(DECISIONS, [(20, b"t20"), (10, b"t10")]), (LABELS, [(20, b"l20")])])
    assert [p.body for p in posts] == [b"t10", b"l20", b"t20"]
    assert [p.route.path for p in posts] == ["/fraud/decisions", "/fraud/labels", "/fraud/decisions"]


def test_slow_answers_do_not_hold_back_the_next_request() -> None:
    result, _, most = post_to(0.3, [Post(DECISIONS, b"{}") for _ in range(20)], rate_s=200)
    assert result.answered == result.posted == 20
    assert most > 1
    assert min(result.latency_ms) >= 300 - 1


def test_every_request_is_accounted_for() -> None:
    posts = [Post(DECISIONS, b"{}"), Post(DECISIONS, b"bad"), Post(LABELS, b"{}")]
    result, paths, _ = post_to(0, posts, rate_s=100)
    assert (result.posted, result.answered, dict(result.failed)) == (2, 1, {"HTTP 422": 1})
    assert result.accepted == {"labels": 1}
    assert sorted(paths) == ["/fraud/decisions", "/fraud/decisions", "/fraud/labels"]
    assert orjson.dumps(result.answers) == b'[{"action":"approve"}]'
