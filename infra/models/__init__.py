"""Registered models: archives that are looked into without trusting them, and the rows that name each version."""
