"""Whether a frame is what OpenAI's SDK says it is, both ways."""

import base64
import binascii
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Any, get_args, get_type_hints

from openai.types.realtime import RealtimeServerEvent
from openai.types.realtime.realtime_client_event_param import RealtimeClientEventParam
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

__all__ = ["RefusedError", "check_client_frame", "check_server_frame"]

Frame = dict[str, Any]

# Extras that real servers send and the SDK's types do not have.
_EXTRAS = {"phase", "obfuscation", "id", "object", "expires_at"}


class RefusedError(Exception):
    """An event that the server refuses."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(f"{code}: {message} ({param})")
        self.code = code
        self.message = message
        self.param = param


@cache
def _client_types() -> TypeAdapter[Any]:
    return TypeAdapter(RealtimeClientEventParam, config=ConfigDict(extra="forbid"))


@cache
def _client_names() -> Mapping[str, str]:
    """The SDK's class for each type of event."""
    return {get_args(get_type_hints(kind)["type"])[0]: kind.__name__ for kind in get_args(RealtimeClientEventParam)}


@cache
def _server_types() -> TypeAdapter[Any]:
    return TypeAdapter(Annotated[RealtimeServerEvent, Field(discriminator="type")])


def check_client_frame(frame: Frame) -> None:
    """Raises RefusedError, with the code and field that the service would name."""
    kind = frame.get("type")
    if not isinstance(kind, str) or kind not in _client_names():
        raise RefusedError("invalid_value", f"Invalid value: {kind!r}.", "type")
    if kind == "input_audio_buffer.append" and set(frame) <= {"type", "audio", "event_id"}:
        _check_audio(frame.get("audio"))
        return
    try:
        _client_types().validate_python(frame, strict=True)
    except ValidationError as error:
        raise _refusal(frame, error) from None


def _check_audio(audio: object) -> None:
    if not isinstance(audio, str):
        raise RefusedError("missing_required_parameter", "Missing required parameter: 'audio'.", "audio")
    try:
        data = base64.b64decode(audio, validate=True)
    except binascii.Error as error:
        raise RefusedError("invalid_value", "Invalid 'audio'. Expected base64-encoded audio bytes.", "audio") from error
    if len(data) % 2 or not data or len(data) > 15 * 2**20:
        raise RefusedError("invalid_value", f"{len(data)} bytes of audio are no samples.", "audio")


def _refusal(frame: Frame, error: ValidationError) -> RefusedError:
    meant = _client_names()[frame["type"]]
    found = [(_path(frame, e["loc"]), e["type"], e["msg"]) for e in error.errors() if e["loc"][0] == meant]
    # A union is reported once for each member; the member that was meant fits deepest.
    param, kind, message = max(found, key=lambda e: (e[0].count("."), e[1] == "extra_forbidden"))
    code = {"extra_forbidden": "unknown_parameter", "missing": "missing_required_parameter"}.get(kind, "invalid_value")
    return RefusedError(code, f"{message}: '{param}'.", param)


def _path(frame: Frame, location: tuple[int | str, ...]) -> str:
    # A location names members of unions between the keys.
    names: list[str] = []
    value: Any = frame
    for step in location:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            if step is not location[-1]:
                continue
        names.append(f"[{step}]" if isinstance(step, int) else f".{step}")
    return "".join(names).removeprefix(".")


def check_server_frame(frame: Frame) -> None:
    """Raises AssertionError or ValidationError."""
    if frame["type"] == "response.output_audio.delta":
        ids = {"response_id", "item_id", "output_index", "content_index"}
        assert set(frame) == {"type", "event_id", "delta", *ids}, frame
        return
    extras = list(_extras(_server_types().validate_python(frame)))
    assert not extras, f"{frame['type']} has {extras}"


def _extras(value: object) -> Iterator[str]:
    if isinstance(value, BaseModel):
        yield from (name for name in value.model_extra or {} if name not in _EXTRAS)
        for name in type(value).model_fields:
            yield from _extras(getattr(value, name))
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from _extras(entry)
