"""What the format loaders share: shards, tables, tasks, people, pictures, and bad rows."""
