"""Names of splits and tasks; free of pyarrow, for modules that only declare something about them."""

SPLITS = ("forget", "test", "retain", "real")
UNSEEN = "unseen"
"""A split that may be missing: people whom no model was trained on, to tell membership by."""
OPEN_TASKS = ("generation", "caption", "recognition")
"""Tasks that are answered in free text; what such a reply says is scored and searched for private values."""
TASKS = ("qa", *OPEN_TASKS, "classification", "cloze")
"""qa is what the model is trained on; the others are what it is asked."""
