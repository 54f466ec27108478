"""The unlearning methods: one file each with its settings, a pure loss of tensors, and the ``Method`` that joins them.

A loss gets the logits [B, N, V] at the answer positions of the forget batch and the answers [B, N] (token ids,
``IGNORED`` where a position holds no answer token), and returns ``loss`` with its parts by name. Means run over the
answer tokens of the whole batch: a sample counts by its length.

To add a method, add a file here and its test; nothing lists the methods.
"""
