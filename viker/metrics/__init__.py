"""Metrics: of one reply, of its likelihoods, and of a whole split."""
