"""Old names, for imports that have not moved yet."""

from viker.models.base_model import check_adapter_base as need_own_adapter  # noqa: F401
