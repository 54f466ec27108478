"""The data formats: one file per benchmark, and the user's own table."""
