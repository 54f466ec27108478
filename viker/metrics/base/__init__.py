"""What metrics share: their declaration, what they are computed from, and how replies become a model's figures."""
