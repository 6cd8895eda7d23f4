"""Handing out items: what a batch of orders makes of a collection, in one transaction, one collection at a time."""
