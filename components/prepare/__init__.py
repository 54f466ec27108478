"""Stage prepare: the benchmark's four splits in one schema, validated."""
