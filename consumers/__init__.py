"""The work: one runtime, one registry, a package per consumer. A handler decides; the runtime commits and settles."""
