"""The page of ``viker demo``: one question to the vanilla and the unlearned model, side by side."""
