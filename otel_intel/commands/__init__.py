"""The command otel-intel: a module for each group of subcommands."""
