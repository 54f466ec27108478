"""The pipeline in Kubeflow: compiled, submitted, scheduled."""
