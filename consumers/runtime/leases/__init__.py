"""The life of a request about items: read, answered with all others that wait, committed, replied to, acknowledged."""
