"""The order of the stages, and the commands that span them."""
