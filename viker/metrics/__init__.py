"""Metrics: a file for each or for a closely bound family, found by being here; what they share is in ``base``."""
