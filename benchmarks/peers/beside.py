"""Servers of others beside ours, each with the champion's trees and finished features of transactions to score."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from benchmarks.api import Api
from benchmarks.peers.scoring import Server, bentoml_server, mlflow_server
from lamina.scoring.encode import Encoder
from lamina.scoring.inputs import Input

ASKED = 500
TOLERANCE = 1e-6
SERVERS: tuple[Callable[[Path, Path], AbstractContextManager[Server]], ...] = (mlflow_server, bentoml_server)


@dataclass(frozen=True)
class Peer:
    """A running server, a body for each of some transactions, and how many of them it scores otherwise than ours."""

    server: Server
    bodies: Sequence[bytes]
    different: int


def peers(api: Api) -> Iterator[Peer]:
    """One after the other; each is stopped when the next is asked for."""
    vectors = _vectors(api)
    model = api.models[0]
    inputs = [Input.model_validate(part) for part in orjson.loads((model / "spec.json").read_bytes())["inputs"]]
    names = [part.name for part in inputs]
    for serve in SERVERS:
        with serve(model, api.folder) as server:
            bodies = [server.body(names, encoded(inputs, features)) for features, _ in vectors]
            scores = [server.score(body) for body in bodies]
            different = sum(abs(s - ours) > TOLERANCE for s, (_, ours) in zip(scores, vectors, strict=True))
            yield Peer(server, bodies, different)


def _vectors(api: Api) -> list[tuple[dict[str, Any], float]]:
    """Features and score of some of the transactions, as a decision explains them."""
    decisions = (api.ask("/fraud/decisions?explain=true", body) for body in api.bodies[:ASKED])
    return [(made["features"], float(made["score"])) for made in decisions if made["score"] is not None]


def encoded(inputs: Sequence[Input], features: dict[str, Any]) -> list[float | None]:
    """One row of a model's inputs, None where a value is missing.

    >>> encoded((Input(name="n", meaning="", default=1.0), Input(name="m", meaning="")), {"n": None})
    [1.0, None]
    """
    row = np.empty(len(inputs), np.float32)
    Encoder(inputs).fill(row, features)
    return [None if value != value else value for value in row.tolist()]
