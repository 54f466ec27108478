"""Stage unlearn: gradient ascent on the forget set, regularised by what the model says without the picture."""
