#!/usr/bin/env bash
# `flink-node jobmanager|taskmanager`: one node in the foreground. FLINK_PROPERTIES holds `key: value` lines that are put
# in the place of the shipped ones.
set -euo pipefail
python3.11 - <<'PYTHON'
import os
from pathlib import Path

import yaml

file = Path(os.environ["FLINK_HOME"]) / "conf" / "config.yaml"


def flat(tree, prefix=""):
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


shipped = dict(flat(yaml.safe_load(file.read_text())))
file.write_text(yaml.safe_dump(shipped | yaml.safe_load(os.environ["FLINK_PROPERTIES"]), width=10_000))
PYTHON
exec bash "$FLINK_HOME/bin/$1.sh" start-foreground
