"""Gemini's Live messages, checked against the types of Google's own SDK."""

import warnings
from typing import Any

from google.genai import types
from pydantic import ValidationError

__all__ = ["Frame", "RefusedError", "check_client_frame", "check_server_frame"]

Frame = dict[str, Any]
INVALID = "Request contains an invalid argument."


class RefusedError(Exception):
    """The server closes the socket with this code and reason."""

    def __init__(self, reason: str, code: int = 1007) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


def check_client_frame(frame: Any) -> tuple[str, Frame]:
    """A message as (its one key, its body in camelCase, with bytes decoded). Raises RefusedError.

    Both spellings of a field are taken, as by the real server. What the SDK's types let pass is checked here.
    """
    if not isinstance(frame, dict) or len(frame) != 1:
        raise RefusedError(INVALID)
    realtime_config = None
    if isinstance(setup := frame.get("setup"), dict):
        # The SDK's type of the setup lacks this field.
        setup = dict(setup)
        realtime_config = setup.pop("realtimeInputConfig", setup.pop("realtime_input_config", None))
        frame = {"setup": setup}
    message = _validated(types.LiveClientMessage, frame, "")
    key, body = next(iter(message.items()))
    if realtime_config is not None:
        body["realtimeInputConfig"] = _validated(types.RealtimeInputConfig, realtime_config, "setup")
    if key == "realtimeInput" and len(body) != 1:
        raise RefusedError(INVALID)
    if "mediaChunks" in body:
        raise RefusedError("realtime_input.media_chunks is deprecated. Use audio, video, or text instead.")
    return key, body


def check_server_frame(frame: Frame) -> None:
    """Raises ValidationError: the test server says what the real one cannot."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        types.LiveServerMessage.model_validate(frame)


def _validated(kind: Any, frame: Any, within: str) -> Frame:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            message = kind.model_validate(frame)
    except ValidationError as error:
        first = error.errors()[0]
        *path, name = (str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            place = ".".join(filter(None, (within, *path))) or "message"
            raise RefusedError(
                f"Invalid JSON payload received. Unknown name \"{name}\" at '{place}': Cannot find field."
            ) from error
        raise RefusedError(INVALID) from error
    except UserWarning as warning:  # an enum has no such value
        raise RefusedError(INVALID) from warning
    dumped: Frame = message.model_dump(by_alias=True, exclude_none=True)
    return dumped
