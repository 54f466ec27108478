"""Fast paths: quicker ways to the same logits, verified once per model; where one fails, the plain way is taken."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import torch
from accelerate.utils import gather_object
from torch import Tensor

from viker.core.distributed import processes
from viker.models.fallback import NOTED, record
from viker.models.float32 import HALF, in_float32
from viker.models.logits import need_finite, unwrapped
from viker.models.pass_size import LIMITS

Result = TypeVar("Result")


class NoFastPath(Exception):
    """The model or its inputs don't allow a fast path; the message says why."""


@dataclass(frozen=True)
class FastPath:
    """A quicker way to the same logits, or to the same gradients.

    ``what``: its name in the record of a run. ``otherwise``: what happens without it, for the warning. ``step``: which
    of several computations it is that share the name. ``float32`` and ``half``: up to which relative error (norm of
    the difference over norm of the plain logits) rounding explains a difference, by the logits' precision; ``half``
    counts for quantised models alone. ``of``: what is compared.
    """

    what: str
    otherwise: str
    step: str
    float32: float
    half: float
    of: str = "logits"

    def take(self, model: Any, fast: Callable[[], Result], plain: Callable[[], Result]) -> Result:
        """Return ``fast()``, or ``plain()`` where ``fast`` raises ``NoFastPath`` or failed for this model before.

        What ``fast`` did before it raised is not undone: ``plain`` can go on from there.
        """
        try:
            self._need_agreement(model)
            return fast()
        except NoFastPath as reason:
            record(self.what, str(reason), f"{self.otherwise}, which is slower")
        return plain()

    def verify(self, model: Any, fast: Tensor, plain: Callable[[], Tensor], repeat: Callable[[], Tensor]) -> None:
        """Compare some of the fast logits with the plain ones of the same shape, the first time for this model.

        In half precision how far rounding carries depends on the model: 5 % of a 7B model's logits, more if its weights
        are larger. So both ways are computed again in float32, where they must agree as a float32 model's do; and the
        fast logits must lie as near to that as the plain ones do, up to a factor of ``NEAR``.

        Args:
            model: what the logits are of.
            fast: the logits of the fast path.
            plain: computes the plain ones.
            repeat: computes the fast ones again, from the beginning, without verifying them.

        Raises NoFastPath: they differ by more than rounding explains, now or when they were compared.
        Raises UserError: the plain ones are NaN or infinite.
        """
        verdicts = _verdicts.setdefault(unwrapped(model), {})
        if self not in verdicts:
            verdicts[self] = self._verdict(model, fast, plain, repeat)
        self._need_agreement(model)

    def _verdict(
        self, model: Any, fast: Tensor, plain: Callable[[], Tensor], repeat: Callable[[], Tensor]
    ) -> str | None:
        rounded = need_finite(plain(), f"the model's {self.of}")
        if not compared_in_float32(model, rounded.dtype):
            return self.difference(fast, rounded)
        with in_float32():
            exact, again = plain(), repeat()
        if reason := self.difference(again, exact):
            return reason
        error, noise = ((logits.float() - exact).norm().item() for logits in (fast, rounded))
        if error <= NEAR * noise or error < self.float32 * exact.norm().item():
            return None
        return f"with the {self.what} this model's {self.of} are {error / noise:.1f} times as far from float32's"

    def difference(self, fast: Tensor, plain: Tensor) -> str | None:
        """Return how two tensors of logits differ, or None where rounding explains it. All tolerances apply here."""
        error = ((fast - plain).norm() / plain.norm()).item()
        if error < (self.float32 if plain.dtype == torch.float32 else self.half):  # False for NaN
            return None
        return f"with the {self.what} this model's {self.of} differ by {error:.1e}"

    def _need_agreement(self, model: Any) -> None:
        reason = _verdicts.get(unwrapped(model), {}).get(self)
        if reason is not None:
            raise NoFastPath(reason)


def compared_in_float32(model: Any, dtype: torch.dtype) -> bool:
    """Return whether what has this precision is computed again in float32 to verify it; a quantised model can't be."""
    return dtype in HALF and not getattr(unwrapped(model), "is_quantized", False)


NEAR = 3.0
"""A right fast path errs by 1.0 to 1.1 times what the plain way does, one with a wrong mask by 34 times or more."""
_verdicts: WeakKeyDictionary[Any, dict[FastPath, str | None]] = WeakKeyDictionary()
"""By model, what verifying a path has shown: None, or how the logits differ."""


def start_run() -> None:
    """Forget what earlier runs in this process have verified and fallen back from, and what their memory held."""
    _verdicts.clear()
    NOTED.clear()
    LIMITS.clear()


def fallbacks() -> list[dict[str, str]]:
    """Return what the run has fallen back from: ``what`` and ``reason`` of each. All processes of a run call this."""
    processes()
    return [{"what": what, "reason": reason} for what, reason in dict.fromkeys(gather_object(NOTED))]


def record_again(earlier: Sequence[Mapping[str, str]]) -> None:
    """Take over the ``fallbacks`` of the part of a run that was done before it was killed."""
    NOTED[:] = dict.fromkeys([*((each["what"], each["reason"]) for each in earlier), *NOTED])


def engine_record() -> dict[str, Any]:
    """Return what a run's record says of how it was computed: ``engine.fallbacks``, or nothing where there are none."""
    taken = fallbacks()
    return {"engine": {"fallbacks": taken}} if taken else {}
