"""The stage prepare, declared."""

from components.contract import Stage
from viker.data.settings import PrepareParams

STAGE = Stage("prepare", PrepareParams)
