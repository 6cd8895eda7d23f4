"""The keeper: work on the database itself, in bulk and in the background."""
