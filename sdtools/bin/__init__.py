"""One file, one command: parse, open, loop by key, count, return."""
