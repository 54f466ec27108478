"""The unlearning methods: one small file each, a pure loss of tensors and nothing else.

A loss gets the logits [B, N, V] at the answer positions of the forget batch and the answers [B, N] (token ids,
``IGNORED`` where a position holds no answer token), and returns ``loss`` with its parts by name. Means run over the
answer tokens of the whole batch: a sample counts by its length.
"""
