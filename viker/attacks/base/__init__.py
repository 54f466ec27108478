"""What attacks share: the model under attack, its targets, from replies to rates; not searched for attacks."""
