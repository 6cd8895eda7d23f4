"""`python -m tests.bench.peers <name>`: the producer of one peer."""

import asyncio
import inspect
import sys
from importlib import import_module

if __name__ == "__main__":
    served = import_module(f"tests.bench.peers.{sys.argv[1]}").serve()
    if inspect.isawaitable(served):
        asyncio.run(served)  # type: ignore[arg-type]
