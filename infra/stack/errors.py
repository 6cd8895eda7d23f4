"""What goes wrong with local servers, said in a sentence for the person at the terminal."""

from infra.refusals import CannotStart


class StackError(CannotStart):
    """The local servers cannot run, or one of them did not do what was asked."""
