"""The data formats, found by being there: one module per format, called as the format is; ``base`` is shared code."""
