"""What the version before has left behind, led over to this one by `lamina migrate`; each step may be run twice."""
