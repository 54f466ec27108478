"""Pictures of the data: checked, compared by their looks, stored once."""

FINGERPRINTS = "fingerprints.cache"
"""The file of the last run's fingerprints, see ``cache``."""
