"""All methods on the demo at equal forgetting: what each keeps of the others once it has forgotten as much."""
