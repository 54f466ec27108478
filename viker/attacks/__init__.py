"""Ways to get at the answers that plain questions don't get: one attack per file, each found by being here."""
