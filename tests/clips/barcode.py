"""The number of a frame, drawn into its luma and read back: twelve bits, each with its complement below it.

Chroma under the code stays neutral, so that the code survives any conversion to RGB and back.
"""

import numpy as np
from numpy.typing import NDArray

Luma = NDArray[np.uint8]
BITS = 12
DARK, LIGHT = 40, 215
CONTRAST = 60


def draw(luma: Luma, number: int, block: int = 16) -> None:
    """Draw `number` (below 4096) into the top left corner: 12 blocks wide, 2 blocks high."""
    for bit in range(BITS):
        lit = bool(number >> bit & 1)
        columns = slice(bit * block, (bit + 1) * block)
        luma[:block, columns] = LIGHT if lit else DARK
        luma[block : 2 * block, columns] = DARK if lit else LIGHT


def read(luma: Luma, block: int = 16) -> int:
    """The number in an upright picture's luma or in one of its colour channels.

    Raises AssertionError when the code cannot be read with certainty.
    """
    inner = slice(block // 4, block - block // 4)
    number = 0
    for bit in range(BITS):
        columns = slice(bit * block + inner.start, bit * block + inner.stop)
        upper = float(luma[inner, columns].mean())
        lower = float(luma[block + inner.start : block + inner.stop, columns].mean())
        assert abs(upper - lower) >= CONTRAST, f"bit {bit} is unreadable"
        number |= (upper > lower) << bit
    return number
