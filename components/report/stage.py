"""The stage report, declared."""

from components.contract import Stage
from viker.report.settings import ReportParams

STAGE = Stage("report", ReportParams)
