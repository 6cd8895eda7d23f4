"""The lease dispatcher, measured: against SKIP LOCKED and a random sort, by size, by latency; and imports."""
