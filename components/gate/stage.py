"""The stage gate, declared."""

from components.contract import Stage
from viker.gate.settings import GateParams

STAGE = Stage("gate", GateParams)
