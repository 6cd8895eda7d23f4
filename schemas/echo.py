"""The parameters of `probe.echo`."""

from pydantic import Field

from schemas.fields import Strict


class Echo(Strict):
    """What to say back."""

    text: str = Field("", max_length=1000)
