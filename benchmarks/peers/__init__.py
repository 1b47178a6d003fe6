"""What a user would take instead of lamina, run beside it by the benchmarks: same machine, same run, same work."""
