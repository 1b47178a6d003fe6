"""The main job, end to end: history, features, a model, a live day, the next morning, a report."""
