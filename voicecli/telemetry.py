"""Keeps libraries from reporting to their makers that and how they are used."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["without_telemetry"]


@contextmanager
def without_telemetry() -> Iterator[None]:
    """To be put around each import that loads onnxruntime, huggingface_hub or mcp, or may come to: they report nothing.

    Otherwise onnxruntime, from 1.29 on, sends events to Microsoft from some seconds after the import on, and keeps an
    id of the device and the events that are still to be sent in ~/.cache/Microsoft; and huggingface_hub tells the hub
    which agent runs it and which torch is installed. mcp describes each call to OpenTelemetry, which sends it wherever
    the environment says, and passes the trace on to the server.

    Holds for this process and those it starts, whatever the environment said. Where a program has imported onnxruntime
    by itself before, and on Windows, which does not know the variable, the first event has been made by then: only what
    would follow is held back.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read once, while the library loads
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    yield
    hub = sys.modules.get("huggingface_hub.constants")
    if hub is not None:  # it may have been loaded before
        hub.HF_HUB_DISABLE_TELEMETRY = True  # type: ignore[attr-defined]
    spans = sys.modules.get("mcp.shared._otel")
    if spans is not None:
        from opentelemetry.trace import NoOpTracer

        spans._tracer = NoOpTracer()  # type: ignore[attr-defined]
    disable = getattr(sys.modules.get("onnxruntime"), "disable_telemetry_events", None)
    if disable is not None:
        disable()
