"""Annotators in an export: pseudonyms that stay the same within a project and say nothing outside of it."""

import hashlib
import hmac
from functools import lru_cache

DIGITS = 16


class People:
    """Names for annotators: their own, or pseudonyms made with the project's salt."""

    def __init__(self, salt: bytes, identities: bool) -> None:
        self._salt = salt
        self._identities = identities
        self._pseudonym = lru_cache(maxsize=10_000)(self._made)

    def name(self, annotator: str) -> str:
        """What the export calls somebody."""
        return annotator if self._identities else self._pseudonym(annotator)

    def _made(self, annotator: str) -> str:
        return "annotator-" + hmac.digest(self._salt, annotator.encode(), hashlib.sha256).hex()[:DIGITS]
