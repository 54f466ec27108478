"""Tracking: which MLflow server or database, and what a stage tells it."""

from viker.tracking.connection import (
    DEFAULT_URI,
    RUN_TAG,
    connect,
    experiment_id,
    explained,
    tracking_uri,
    without_secrets,
)
from viker.tracking.flatten import main_metrics
from viker.tracking.recording import PIPELINE, STAGE, Stage, current, log_metrics, stage, sweep

__all__ = [
    "DEFAULT_URI",
    "PIPELINE",
    "RUN_TAG",
    "STAGE",
    "Stage",
    "connect",
    "current",
    "experiment_id",
    "explained",
    "log_metrics",
    "main_metrics",
    "stage",
    "sweep",
    "tracking_uri",
    "without_secrets",
]
