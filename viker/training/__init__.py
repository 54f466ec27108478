"""The unlearning run: adapter, trainer, checkpoints, guards."""
