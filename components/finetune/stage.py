"""The stage finetune, declared."""

from components.contract import Stage
from viker.finetuning.settings import FinetuneParams

STAGE = Stage("finetune", FinetuneParams)
