"""What was said, kept on this machine: turns, calls of tools, costs. Knows the vocabulary, and nothing above it."""

__all__: list[str] = []
