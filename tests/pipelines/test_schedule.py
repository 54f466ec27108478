"""A schedule's cron, in five fields as people write it, for Kubeflow in six."""

import pytest

from pipelines.kubeflow.schedule import six_fields
from viker.core.errors import UserError


@pytest.mark.parametrize("cron", ["", "nightly", "* * *", "0 3 * * * * *", "0 3 * * ; rm"])
def test_what_is_no_cron_is_refused(cron) -> None:
    with pytest.raises(UserError, match="five fields"):
        six_fields(cron)
