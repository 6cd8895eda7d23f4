"""The fast lane: what has arrived is done at once, written down in one transaction, and acknowledged after it."""
