"""What both models are asked, and what is measured on each reply."""
