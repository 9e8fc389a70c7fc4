"""What tests/recipes has, too."""

from shared_runs import commands_that_start_at_once, corpus  # noqa: F401 - fixtures
