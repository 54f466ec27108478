"""Image-text-to-text models: loading, encoding of samples, fast paths to their logits."""
