"""Stage sample: irrelevant images, which show nobody of the forget or the retain set."""
