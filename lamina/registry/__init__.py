"""Registered models: versions, the aliases that say which one serves, and how one takes another's place."""
