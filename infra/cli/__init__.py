"""The `reelmill` command. Data goes to stdout, talk to stderr; exit codes are fixed (see `infra.cli.exits`)."""
