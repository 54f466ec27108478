"""Stage evaluate: what the model says about the people, before and after unlearning."""
