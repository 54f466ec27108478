"""``viker sweep``: runs over combinations of parameters."""
