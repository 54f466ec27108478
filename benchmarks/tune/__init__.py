"""A study of ``viker tune`` on data of one's own, with untouched defaults."""
