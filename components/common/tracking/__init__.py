"""Tracking: which MLflow server or database, and what a stage tells it."""

from components.common.tracking.connection import (
    DEFAULT_URI,
    RUN_TAG,
    connect,
    experiment_id,
    explained,
    tracking_uri,
    without_secrets,
)

__all__ = ["DEFAULT_URI", "RUN_TAG", "connect", "experiment_id", "explained", "tracking_uri", "without_secrets"]
