"""The registered model in MLflow: versions, lineage, promotion."""
