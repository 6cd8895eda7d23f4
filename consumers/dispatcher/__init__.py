"""The fast lane's work: short, idempotent, many at a time."""
