"""A forget request a night, for many nights: each promoted, and everyone before still forgotten."""
