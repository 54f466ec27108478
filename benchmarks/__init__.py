"""What prepares and measures on a larger scale than the demo; no stage needs it."""
