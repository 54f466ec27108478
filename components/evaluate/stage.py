"""The stage evaluate, declared."""

from components.contract import Stage
from viker.evaluation.settings import EvaluateParams

STAGE = Stage("evaluate", EvaluateParams)
