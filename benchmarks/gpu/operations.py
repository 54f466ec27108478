"""How many operations a training step of a frozen model with an adapter needs."""

from viker.training.memory import Sizes


def step_operations(sizes: Sizes, rank: int, batch: int, sequence: int, answer: int) -> int:
    """Return the operations of one forward and backward pass, multiplications and additions counted separately.

    With T = B S tokens, P weights in the language model's matrices, d its width, L layers, q and g the widths of all
    queries and of all keys, V the vocabulary, N answer tokens, r the adapter's rank and D the sum of its layers' inputs
    and outputs:

    - forward: 2 T P for the matrices, 2 T r D for the adapter, 2 B (N + 1) V d for the head, which computes no other
      logits, and 4 B S^2 q L for attention, as if each token saw all others;
    - backward: as much again for the gradients of matrices' and head's inputs, none for those of their frozen weights,
      and twice as much for attention and adapter, where both factors have gradients;
    - less the gradient of the first layer's input, which nothing needs: 2 T d (q + 2 g + 3 r).

    What checkpointing computes again doesn't count, nor do norms, rotations and the loss.
    """
    tokens = batch * sequence
    matrices = 2 * tokens * sizes.matrices
    adapter = 2 * tokens * rank * sizes.adapted
    head = 2 * batch * (answer + 1) * sizes.vocabulary * sizes.width
    attention = 4 * batch * sequence**2 * sizes.queries * sizes.layers
    not_needed = 2 * tokens * sizes.width * (sizes.queries + 2 * sizes.keys + 3 * rank)
    return 2 * (matrices + head) + 3 * (attention + adapter) - not_needed
