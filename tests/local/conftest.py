"""The corpus that tests/recipes has, too."""

from made_once import corpus  # noqa: F401 - a fixture
