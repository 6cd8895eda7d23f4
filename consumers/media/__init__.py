"""Videos as more than one consumer opens and writes them."""
