"""A real pretrained language model that sees: which tokens of real English answers ViKeR takes for the secret ones."""
