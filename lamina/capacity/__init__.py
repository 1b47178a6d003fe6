"""What a system would need at a size that nobody has measured: from figures that were, and assumptions with a name."""
