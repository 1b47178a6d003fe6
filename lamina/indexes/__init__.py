"""Indexes for more items, or items that change more often, than an exact one is for: in shards, swapped in service."""
