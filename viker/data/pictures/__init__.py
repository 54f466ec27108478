"""Pictures of the data: checked, compared by their looks, stored once."""
