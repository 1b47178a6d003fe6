"""Any registered model from its folder: `spec.json` says what it is."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

from lamina.definitions import system_names
from lamina.errors import ModelUnavailable
from lamina.scoring import network
from lamina.scoring.protocol import SPEC_FILE, Scorer
from lamina.scoring.retrievers.protocol import KIND as RETRIEVER


def load(folder: Path) -> Scorer:
    """The model in `folder`: a network, or what the folder `models/<system>` of the spec's system makes of it.

    Raises: ModelUnavailable: when there is no spec, nothing here can load it, or what loads it refuses.
    """
    path = folder / SPEC_FILE
    try:
        spec = json.loads(path.read_bytes())
        kind, system = spec.get("kind"), spec["system"]
    except FileNotFoundError:
        raise ModelUnavailable(f"{folder} holds no {SPEC_FILE}: download the model again or train it anew") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ModelUnavailable(f"{path} does not say of which system the model is: train it anew") from None
    if kind == RETRIEVER:
        raise ModelUnavailable(f"{path} is a retriever's, which finds items and scores no rows: ask for another model")
    if system not in system_names():
        raise ModelUnavailable(f"{path}: there is no system {system!r}; there are {', '.join(system_names())}")
    if kind == network.KIND:
        return network.load(folder)
    module = f"models.{system}.score"
    try:
        # By name, as the tasks of a DAG find `models.<system>.train`: lamina knows of systems, not of their models.
        scoring = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ModelUnavailable(f"{path}: a model of kind {kind!r} needs {module} ({error})") from None
    found: Scorer = scoring.load(folder)
    return found
