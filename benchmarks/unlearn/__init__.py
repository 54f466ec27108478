"""What unlearning costs versus the naive way and versus gradient ascent: every figure is a ratio of two runs."""
