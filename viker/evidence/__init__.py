"""Seals, hashes and the evidence bundle."""
