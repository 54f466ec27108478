"""The pipeline's stages, one folder each; what they share is in ``common``."""
