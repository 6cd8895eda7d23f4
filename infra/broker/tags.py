"""Which deliveries of a channel are answered: one acknowledgement may stand for many, and never for too many."""

from collections.abc import Collection


class Tags:
    """The delivery tags of one channel. The broker counts them from 1 on."""

    def __init__(self) -> None:
        self._done = 0
        self._beyond: set[int] = set()
        """Answered, but not all before them are."""

    def answer(self, tags: Collection[int]) -> tuple[int, list[int]]:
        """Note that these are answered now; none was before.

        Returns the one of them up to which all are answered (0 if there is none), and those that come after a gap.
        """
        self._beyond.update(tags)
        while self._done + 1 in self._beyond:
            self._done += 1
            self._beyond.remove(self._done)
        # One of these, not `_done` itself, which may have been answered before: the broker would not know it any more.
        return max((t for t in tags if t <= self._done), default=0), sorted(t for t in tags if t > self._done)
