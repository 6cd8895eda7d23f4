"""The outside world, one door per library: database, broker, object store, environment, local servers."""
