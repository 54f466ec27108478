"""Planted failures: adapters that only look as if they had forgotten, and metrics that lie. The gate must catch all."""
