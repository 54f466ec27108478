"""Tracking: which MLflow server or database, and what a stage tells it."""

from viker.core.redact import without_secrets
from viker.tracking.connection import DEFAULT_URI, connect, explained, tracking_uri
from viker.tracking.identity import RUN_TAG
from viker.tracking.recording import PIPELINE, STAGE, Stage, log_metrics

__all__ = ["DEFAULT_URI", "PIPELINE", "RUN_TAG", "STAGE", "Stage", "connect", "explained", "log_metrics"]
__all__ += ["tracking_uri", "without_secrets"]
