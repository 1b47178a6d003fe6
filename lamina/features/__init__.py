"""Features of any rows as they were at the time of each row; `training_set` is the way in from a notebook."""

from lamina.features.training import training_set, write_training_set

__all__ = ["training_set", "write_training_set"]
