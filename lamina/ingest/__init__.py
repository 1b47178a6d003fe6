"""Bringing one's own data: files of any shape become events of a contract in the lake."""
