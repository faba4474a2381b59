"""A codec over a WebSocket: dialling, queues both ways, liveness, reconnects, the frame log.

May know the vocabulary and `ports` only.
"""

__all__: list[str] = []
