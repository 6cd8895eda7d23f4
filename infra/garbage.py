"""The garbage collector, in a process that loads much once and then works for long."""

import gc


def spare() -> None:
    """What is there by now stays: the collector looks at it no more, which would hold the work for 80 ms now and then.

    What the work itself makes goes by itself nearly always, and comes by the thousand: cycles are looked for rarely.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
