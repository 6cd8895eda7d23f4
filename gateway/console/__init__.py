"""The console: what people look at. Pages are HTML from the same functions that the API stands on."""
