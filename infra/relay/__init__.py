"""The relay: one process leads, the others stand by. Whatever must happen although nobody asks for it happens here."""
