"""The way of a plain, valid transaction past the framework. Hot path.

FastAPI describes the route of decisions and answers what is wrong with a request; what it does around a right one costs
more than the models.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pydantic import ValidationError
from starlette.types import ASGIApp, Receive, Scope, Send

from lamina.contracts.transactions import Transaction
from lamina.errors import LaminaError
from serving.card_numbers import CardNumbers
from serving.currency import OneCurrency
from serving.masking import TOKENS
from serving.middleware.bodies import replayed
from serving.middleware.errors import answer_to
from serving.stages.inquiry import Inquiry

JSON = b"application/json"
Decide = Callable[[Inquiry], Awaitable[bytes]]


class DirectRoute:
    """Answers POSTs of one transaction to `path` by one parse and `decide`; everything else goes on to `app`.

    That is: whatever has a query, another type of content, no length, is not a transaction, holds a card number, or is
    in another currency.
    """

    def __init__(
        self, app: ASGIApp, path: str, decide: Decide, card_numbers: CardNumbers, currency: OneCurrency | None = None
    ) -> None:
        self._app, self._path, self._decide, self._card_numbers = app, path, decide, card_numbers
        self._currency = currency

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or scope["path"] != self._path or not _is_plain(scope):
            await self._app(scope, receive, send)
            return
        received = await receive()
        body = received.get("body", b"")
        while received.get("more_body", False):
            received = await receive()
            body += received.get("body", b"")
        if received["type"] == "http.disconnect":
            return
        transaction = self._transaction(body)
        if transaction is None:
            await self._app(scope, replayed(body, receive), send)
            return
        TOKENS.set((transaction.card_token,))
        state = scope["state"]
        try:
            answer = await self._decide(Inquiry(transaction, state["request_id"], state["started_ns"]))
        except LaminaError as error:
            await answer_to(error)(scope, receive, send)
            return
        headers = [(b"content-length", b"%d" % len(answer)), (b"content-type", JSON)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    def _transaction(self, body: bytes) -> Transaction | None:
        try:
            transaction = Transaction.model_validate_json(body)
        except ValidationError:
            return None
        if self._currency is not None and self._currency.is_other(transaction):
            return None
        return None if self._card_numbers.field(transaction) else transaction


def _is_plain(scope: Scope) -> bool:
    if scope["method"] != "POST" or scope["query_string"]:
        return False
    kind = length = None
    for name, value in scope["headers"]:
        if name == b"content-type":
            kind = value
        elif name == b"content-length":
            length = value
    return kind == JSON and length is not None
