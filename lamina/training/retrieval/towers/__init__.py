"""Two towers in PyTorch. What imports torch runs in the environment that `make networks` makes, and nowhere else."""
