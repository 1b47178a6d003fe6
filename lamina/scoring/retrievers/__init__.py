"""Retrievers: which items may be worth a user's while, out of all. Each is trained in `lamina.training.retrieval`."""
