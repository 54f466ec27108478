"""The irrelevant images: their sources, the check that they show nobody of the data, and who gets which."""
