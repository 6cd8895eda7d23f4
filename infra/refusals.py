"""Why a process does not start, for everybody who has to say it. Imports nothing, so that saying it costs nothing."""


class CannotStart(Exception):
    """The message is the sentence that the person reads."""
