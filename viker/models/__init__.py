"""Image-text-to-text models: loading, prompts, shared prefixes, caches."""
