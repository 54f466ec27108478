"""What everything stands on: errors, files, settings, the console, processes."""
