"""What a loaded retriever is, whatever it is made of, and what lies beside the weights of every one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from lamina.errors import ModelUnavailable
from lamina.scoring.interactions import Interactions, Texts
from lamina.scoring.spec import Spec

KIND: Literal["retriever"] = "retriever"
ITEMS_FILE = "items.json"
REMEDY = "download the model again or train it anew"

Float32s = NDArray[np.float32]


class RetrieverSpec(Spec):
    """`spec.json` of a retriever. `form` says what it is made of; `arguments` is what scoring needs beside the arrays,
    `settings` what it was fitted with, `metrics` how good it was where that was measured.
    """

    remedy: ClassVar[str] = "train the retriever anew with this version"

    format: Literal[1] = 1
    kind: Literal["retriever"] = KIND
    form: str
    system: str
    logical_date: date
    items: int = Field(ge=0)
    rows: int = Field(ge=0)
    arguments: dict[str, float | int | str | bool | None] = Field(default_factory=dict)
    settings: dict[str, float | int | str | bool | None] = Field(default_factory=dict)
    metrics: dict[str, float] = Field(default_factory=dict)
    git_commit: str = "unknown"
    libraries: dict[str, str] = Field(default_factory=dict)


@runtime_checkable
class Retriever(Protocol):
    """A loaded retriever. Safe to use from several threads: nothing in it changes.

    It is asked by what is known of users, so that one who came after its training is answered as any other.
    """

    form: ClassVar[str]

    @property
    def items(self) -> Texts:
        """Ids of the items it knows, object[m], sorted."""

    @property
    def arguments(self) -> Mapping[str, float | int | str | bool | None]:
        """What scoring needs beside the arrays."""

    def scores(self, asked: Interactions) -> Float32s:
        """float32[users of `asked`, items]: by these items are ranked; they mean nothing else.

        Items that it does not know are passed over. A user of whom nothing is known has scores of his own all the same.
        """

    def arrays(self) -> Mapping[str, Any]:
        """What it is made of by name: arrays of numpy, csr_array of scipy, or compiled networks as bytes."""

    @classmethod
    def opened(cls, items: Texts, arrays: Mapping[str, Any], arguments: Mapping[str, Any]) -> Retriever:
        """That which `arrays` and `arguments` were of.

        Raises: KeyError, TypeError, ValueError: they do not fit together.
        """


@runtime_checkable
class VectorRetriever(Retriever, Protocol):
    """A retriever whose scores are inner products: an `Index` finds its best items without scoring all."""

    def item_vectors(self) -> Float32s:
        """float32[items, dimensions]."""

    def user_vectors(self, asked: Interactions) -> Float32s:
        """float32[users of `asked`, dimensions]."""


def write_items(items: Texts, folder: Path) -> None:
    """Keep the ids in `folder`."""
    (folder / ITEMS_FILE).write_text(json.dumps(items.tolist()), encoding="utf-8")


def read_items(folder: Path) -> Texts:
    """The ids that `write_items` kept.

    Raises: ModelUnavailable: there are none, or they cannot be read.
    """
    try:
        return np.array(json.loads((folder / ITEMS_FILE).read_bytes()), dtype=object)
    except (OSError, ValueError) as error:
        raise ModelUnavailable(f"{folder / ITEMS_FILE} cannot be read ({error}): {REMEDY}") from None
