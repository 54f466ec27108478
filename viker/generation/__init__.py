"""Batched greedy replies and answer likelihoods."""
