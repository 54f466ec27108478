"""The command ``viker``: one file per command that is not a stage."""
