"""Models from rows: fitting, calibrating, searching for parameters."""
