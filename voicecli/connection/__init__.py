"""A codec over a WebSocket: dialling, queues both ways, liveness, reconnects, the frame log.

`websocket` is the `Connection`; `dial` makes sockets, `redial` decides when, and when to give up; `line` is the life
of one socket, `liveness` notices that it is dead; `sender` and `send_queue` are the way up, `event_queue` the way
down; `frame_log` writes the trace.

May know the vocabulary and `ports` only.
"""

__all__: list[str] = []
