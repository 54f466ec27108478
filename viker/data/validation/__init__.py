"""Great Expectations over the prepared splits."""
