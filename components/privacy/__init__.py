"""What a work tree holds of people: the map of it, the search for them, and their removal."""
