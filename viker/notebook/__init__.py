"""ViKeR from a notebook: data frames in, an adapter and its metrics out, nothing written unless asked."""
