"""The front door. Starlette lives only here: a request becomes a command or a question, and nothing is worked on."""
