"""Stage register: an MLflow run with its evidence, and a version of the registered model that can be traced."""
