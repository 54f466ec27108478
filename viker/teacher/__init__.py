"""The visual teacher: what the frozen model says when it sees irrelevant images."""
