"""The life of one delivery: admitted, claimed, acknowledged, run in a child, kept alive, ended in exactly one way."""
