"""A real pretrained language model with vision: which tokens of real English answers ViKeR takes for key tokens."""
