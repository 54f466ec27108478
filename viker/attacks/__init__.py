"""Ways to get the answers that plain questions do not get: a file an attack."""
