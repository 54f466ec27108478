"""One request after the other: whether what the first had forgotten stays so when the second is carried out."""
