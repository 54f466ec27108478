"""The evaluation: what both models are asked, and the predictions, one row per question and model."""
