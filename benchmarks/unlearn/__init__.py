"""What unlearning costs, beside the naive way and beside gradient ascent: every figure is a ratio of two runs."""
