"""What English the metric gibberish_rate knows, and how well it tells labelled replies apart."""
