"""Tables, queues, files, counters and rate limits on SQLite and the file system."""
