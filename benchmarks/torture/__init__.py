"""``make torture``: the pipeline is killed, starved of space, raced and misfed, and what goes wrong is counted."""
