"""Answers that wait for a person: the queue of cases, who looks at which, what was said, and a log of all of it."""
