"""The `augmill` command: one file a subcommand, each a thin face of `augmill.pipeline`."""
