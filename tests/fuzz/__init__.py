"""What senders without sense send: requests, messages and media. Bounded in the test suite, long with `make fuzz`."""
