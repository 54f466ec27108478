"""The evidence report as one self-contained HTML page."""
