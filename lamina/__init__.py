"""lamina: one definition of a feature, run by Spark, by Flink and by the online reader."""
