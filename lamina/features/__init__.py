"""Features of any rows as they were at the time of each row: the arithmetic that Spark and DuckDB share."""
