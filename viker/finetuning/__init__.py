"""The small vanilla model, trained from scratch."""
