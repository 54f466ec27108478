"""Stage report: the evidence of one unlearning run, as one HTML file that needs nothing else."""
