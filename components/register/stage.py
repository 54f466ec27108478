"""The stage register, declared."""

from components.contract import Stage
from viker.registry.settings import RegisterParams

STAGE = Stage("register", RegisterParams)
