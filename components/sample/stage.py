"""The stage sample, declared."""

from components.contract import Stage
from viker.data.settings import SampleParams

STAGE = Stage("sample", SampleParams)
