"""Which metrics and attacks tell a model that knows the people from one that never did: the evaluation, evaluated."""
