"""What prepare costs: its throughput against a plain copy of the same Parquet, and its peak memory."""
