"""ViKeR, its teachers and its baselines where facts can be told by the picture alone: the paper's claims, tested."""
