"""How changed features go live: filled beside the old ones, read once they have caught up, the old ones removed."""
