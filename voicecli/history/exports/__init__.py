"""Exports of conversations: from a record to a text, without reading anything else."""

__all__: list[str] = []
