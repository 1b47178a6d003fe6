"""The way of a request for a list: read, find candidates, rank them, choose what is shown, log it."""
