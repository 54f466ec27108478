"""The stage unlearn, declared."""

from components.contract import Stage
from viker.training.settings import UnlearnParams

STAGE = Stage("unlearn", UnlearnParams)
