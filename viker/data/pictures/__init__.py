"""Pictures of the data: checked, compared by their looks, stored once."""

FINGERPRINTS = "fingerprints.cache"
"""The file of what the last run found out about pictures, see ``cache``."""
