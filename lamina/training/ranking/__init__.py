"""How rankers are made. What imports torch runs in the environment that `make networks` makes, and nowhere else."""
