"""Records, pictures, prompts, forget requests and irrelevant images."""
