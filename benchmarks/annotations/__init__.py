"""Private values in TOFU's answers, marked by hand, and which score of a token finds them."""
