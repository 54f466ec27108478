"""The embedded benchmark: fictitious people, drawn faces and scenes."""
