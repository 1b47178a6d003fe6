"""The lake: where every event, tile and training set lies as parquet, and how a partition is replaced."""
