"""The teachers, a module each."""
