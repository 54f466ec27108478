"""The visual teacher: one next-token distribution per answer token, from the frozen model shown irrelevant images."""
