"""TOFU's authors with real faces, in MLLMU-Bench's on-disk format."""
