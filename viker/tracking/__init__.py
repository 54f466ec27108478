"""Tracking: what a stage tells MLflow, by way of the outbox."""

from viker.tracking.identity import RUN_TAG
from viker.tracking.recording import PIPELINE, STAGE, Stage, log_metrics

__all__ = ["PIPELINE", "RUN_TAG", "STAGE", "Stage", "log_metrics"]
