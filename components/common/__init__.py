"""What the stages share: parameters, records, model loading, files, the command line."""
