"""``viker tune``: searches for settings of unlearn that pass the gate and keep most."""
