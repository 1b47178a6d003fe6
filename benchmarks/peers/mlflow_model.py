"""`python -m benchmarks.peers.mlflow_model MODEL FOLDER`: a fraud model as MLflow's scoring server takes it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.pyfunc import PythonModel


class MlflowTrees(PythonModel):
    """Loads the trees from the artifact `trees` and scores data frames of encoded rows."""

    def load_context(self, context: Any) -> None:
        """Load the trees."""
        from benchmarks.peers.trees import Trees

        self._trees = Trees(Path(context.artifacts["trees"]))

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        """Scores of a data frame's rows."""
        return self._trees.predict(model_input.to_numpy(np.float32))


def save(model: Path, folder: Path) -> None:
    """Write the fraud model in `model` to `folder` as a model of MLflow's."""
    mlflow.pyfunc.save_model(
        folder, python_model=MlflowTrees(), artifacts={"trees": str(model)}, pip_requirements=["onnxruntime"]
    )


if __name__ == "__main__":
    save(Path(sys.argv[1]), Path(sys.argv[2]))
