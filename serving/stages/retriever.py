"""A retriever in service, kept current as a model is: what finds candidates."""

from __future__ import annotations

from pathlib import Path

from lamina.registry.protocol import CHAMPION, ModelRegistry
from lamina.scoring.interactions import Interactions
from lamina.scoring.retrievers.files import open_retriever
from lamina.scoring.retrievers.protocol import Retriever
from serving.stages.model import ServedVersion


def load_retriever(folder: Path) -> Retriever:
    """The retriever in `folder`.

    Raises: ModelUnavailable: as `open_retriever`.
    """
    return open_retriever(folder).retriever


class ServedRetriever(ServedVersion[Retriever]):
    """A retriever, kept current. Args: as `ServedVersion`."""

    def __init__(self, name: str, registry: ModelRegistry, folder: Path, wanted: str = CHAMPION) -> None:
        super().__init__(name, registry, load_retriever, folder, wanted)

    def warm_up(self, found: Retriever) -> None:
        """See `ServedVersion.warm_up`."""
        some = found.items[:1].tolist()
        found.scores(Interactions.of(["anybody"] * len(some), some, time_s=[0.0] * len(some)))
