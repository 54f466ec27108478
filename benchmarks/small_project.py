"""The embedded benchmark and the demo's model made so small that a stage takes seconds; for torture and tests."""

SMALLER = (
    ("people: 40", "people: 10"),
    ("figures: 12", "figures: 2"),
    ("pictures: 2400", "pictures: 4"),
    ("scenes: 600", "scenes: 1"),
)
"""Replacements in the text of components/prepare/embedded.yaml."""
POLICY = "benchmarks/small_policy.yaml"
"""A policy that a model which knows nothing can pass, from the project's root."""
MODEL = {
    "image_size": 16,
    "patch_size": 8,
    "vision_width": 16,
    "vision_layers": 1,
    "width": 32,
    "layers": 2,
    "heads": 2,
    "vocabulary": 400,
}
"""The section finetune.model of params.yaml."""


def smaller(description: str) -> str:
    """Return the text of embedded.yaml with fewer people and pictures. Raises ValueError: a number isn't there."""
    for before, after in SMALLER:
        if before not in description:
            raise ValueError(f"embedded.yaml has no '{before}'")
        description = description.replace(before, after)
    return description
