"""The command ``viker``: what is not a stage, a file per command."""
