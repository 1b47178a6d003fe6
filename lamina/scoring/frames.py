"""Scores of whole columns: for the workers of a batch engine, which get the model's files with the work."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lamina.scoring.checked import column
from lamina.scoring.encode import as_input
from lamina.scoring.load import load
from lamina.scoring.protocol import SCORE

if TYPE_CHECKING:
    import pyarrow as pa

MODEL, VERSION = "model", "version"


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file of a model's folder, by its name."""
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


@dataclass(frozen=True)
class FrameScorer:
    """Record batches of features in; out the columns `kept`, the score, and whose it is.

    A score that is no finite number is none, as in an answer of `/predict`: the row is written without it.

    Args: files: of the model's folder; name, version: of the registered model, written beside each score.
    """

    files: Mapping[str, bytes]
    kept: Sequence[str]
    name: str
    version: str

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The scored batches; the model is loaded once."""
        import pyarrow as pa

        with tempfile.TemporaryDirectory(prefix="lamina-model-") as name:
            folder = Path(name)
            for file, content in self.files.items():
                (folder / file).write_bytes(content)
            scorer = load(folder)
            for batch in batches:
                rows = pa.Table.from_batches([batch])
                columns = {each: as_input(rows.column(each)) for each in scorer.names}
                found = scorer.predict_columns(columns, rows.num_rows)
                scores = column(found[scorer.outputs[0]], rows.num_rows)
                written = {
                    **{each: batch.column(each) for each in self.kept},
                    SCORE: pa.array(scores, from_pandas=True),
                    MODEL: pa.array([self.name] * len(scores)),
                    VERSION: pa.array([self.version] * len(scores)),
                }
                yield pa.RecordBatch.from_arrays(list(written.values()), names=list(written))
