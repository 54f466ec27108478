"""The gate: rules, policies, judging, and recounting the evidence."""
