"""`python -m lamina.local.mlflow_server PORT FOLDER`: MLflow's tracking server in one process.

`mlflow server` imports all of MLflow, makes the tables, and then starts a second process that imports it again: on a
laptop that is half of the time in which the whole stack starts. The same application is run here, by the settings that
the command hands to its process.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import uvicorn  # before MLflow, which protects its routes only where it finds a server

from lamina.local.ports import HOST


def main(port: int, folder: Path) -> None:
    """Serve on this machine alone: SQLite and artifacts in `folder`, artifacts by way of the server."""
    from mlflow.server import constants
    from mlflow.server.handlers import initialize_backend_stores

    store, root = f"sqlite:///{folder}/mlflow.db", "mlflow-artifacts:/"
    os.environ |= {
        constants.BACKEND_STORE_URI_ENV_VAR: store,
        constants.REGISTRY_STORE_URI_ENV_VAR: store,
        constants.ARTIFACT_ROOT_ENV_VAR: root,
        constants.ARTIFACTS_DESTINATION_ENV_VAR: str(folder / "artifacts"),
        constants.SERVE_ARTIFACTS_ENV_VAR: "true",
    }
    initialize_backend_stores(store, store, root)
    from mlflow.server.fastapi_app import app

    uvicorn.run(app, host=HOST, port=port)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
