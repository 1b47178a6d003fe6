"""How retrievers are made: from who met what to scores, or to vectors for an index."""
