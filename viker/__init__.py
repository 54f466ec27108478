"""ViKeR unlearning as a library: data, models, methods, metrics, attacks, the gate, and the evidence of a run."""
