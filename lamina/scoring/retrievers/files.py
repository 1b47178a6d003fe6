"""A retriever as files and back: its arrays, the ids of its items, and `spec.json`."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lamina.errors import ModelUnavailable
from lamina.scoring.retrievers.factors import Factors
from lamina.scoring.retrievers.item_item import ItemItem
from lamina.scoring.retrievers.popular import Popular
from lamina.scoring.retrievers.protocol import REMEDY, Retriever, RetrieverSpec, read_items, write_items
from lamina.scoring.retrievers.towers import Towers

FORMS: dict[str, type[Retriever]] = {kind.form: kind for kind in (Popular, ItemItem, Factors, Towers)}


class Opened(NamedTuple):
    """A retriever, and what its spec says of it."""

    retriever: Retriever
    spec: RetrieverSpec


def save(retriever: Retriever, spec: RetrieverSpec, folder: Path) -> Path:
    """Write both into `folder`, which is created."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in retriever.arrays().items():
        _write(folder / name, array)
    write_items(retriever.items, folder)
    spec.write(folder)
    return folder


def open_retriever(folder: Path) -> Opened:
    """The retriever that was saved to `folder`.

    Raises: ModelUnavailable: when there is none, a file is missing or broken, or its form is not known here.
    """
    spec = RetrieverSpec.read(folder)
    form = FORMS.get(spec.form)
    if form is None:
        raise ModelUnavailable(f"{folder}: no retriever is made of {spec.form!r} here; there are {', '.join(FORMS)}")
    items = read_items(folder)
    if len(items) != spec.items:
        raise ModelUnavailable(f"{folder} holds {len(items)} items and its spec says {spec.items}: {REMEDY}")
    try:
        return Opened(form.opened(items, read_arrays(folder), spec.arguments), spec)
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise ModelUnavailable(f"the retriever in {folder} cannot be opened ({error}): {REMEDY}") from None


def read_arrays(folder: Path) -> dict[str, Any]:
    """What a retriever in `folder` is made of, by name."""
    return {file.stem: _read(file) for file in sorted(folder.iterdir()) if file.suffix in (".npy", ".npz", ".onnx")}


def _write(file: Path, array: Any) -> None:
    from scipy.sparse import issparse, save_npz

    if isinstance(array, bytes):
        file.with_suffix(".onnx").write_bytes(array)
    elif issparse(array):
        save_npz(file.with_suffix(".npz"), array)
    else:
        np.save(file.with_suffix(".npy"), array, allow_pickle=False)


def _read(file: Path) -> Any:
    from scipy.sparse import load_npz

    if file.suffix == ".onnx":
        return file.read_bytes()
    return load_npz(file) if file.suffix == ".npz" else np.load(file, allow_pickle=False)
