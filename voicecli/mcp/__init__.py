"""MCP servers that voicecli calls: their tools, as any other tool, on every provider.

`config` reads what people have written down, `source` keeps a server's tools for a conversation, and `server` alone
knows the package `mcp`. The folder knows the vocabulary only; the pure parts do no I/O.
"""

__all__: list[str] = []
