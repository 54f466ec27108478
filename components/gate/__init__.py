"""Stage gate: may the adapter be promoted? The policy of params.yaml against the metrics."""
