"""What the formats share: rows and pictures on their way in, people, shards, tables and task columns."""
