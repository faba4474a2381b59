"""Whether a frame of GPT-Live is what OpenAI's SDK says it is, both ways."""

import base64
import binascii
import math
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from openai.types.live import ServerEvent
from openai.types.live.client_event_param import ClientEventParam
from openai.types.responses import ResponseStreamEvent
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from tests.loopback.openai_wire import RefusedError

__all__ = ["RefusedError", "check_client_frame", "check_server_frame", "tokens"]

Frame = dict[str, Any]

_NULLABLE = {"delegation_id", "delegation"}
_TOKEN = re.compile(r"\s?[A-Z]?[a-z]+|\s?[A-Z]+|\s?\d{1,3}|\s?[^\sA-Za-z\d]|\s+")


def tokens(text: str) -> int:
    """About the tokens of a text: a word of up to seven letters is one, a letter of another script, too.

    An emoji is two.
    """
    emoji = sum(character > "\uffff" for character in text)
    return emoji + sum(math.ceil(len(piece.strip().encode()) / 7) or 1 for piece in _TOKEN.findall(text))


@cache
def _client_types() -> Mapping[str, TypeAdapter[Any]]:
    """What the SDK takes each type of event for."""
    kinds: dict[str, Any] = {get_args(get_type_hints(kind)["type"])[0]: kind for kind in get_args(ClientEventParam)}
    # Only of a list the configuration counts for what is in it.
    strict = ConfigDict(extra="forbid")
    return {name: _adapter(list.__class_getitem__(kind), strict) for name, kind in kinds.items()}


@cache
def _server_types() -> TypeAdapter[Any]:
    return _union(ServerEvent)


@cache
def _backend_types() -> TypeAdapter[Any]:
    return _union(ResponseStreamEvent)


def _union(events: Any) -> TypeAdapter[Any]:
    """The check of a union of events, told apart by their types."""
    union = get_args(events)[0] if get_origin(events) is Annotated else events
    return _adapter(Annotated[union, Field(discriminator="type")])


def _adapter(kind: Any, config: ConfigDict | None = None) -> TypeAdapter[Any]:
    return TypeAdapter(kind, config=config)


def check_client_frame(frame: Frame) -> None:
    """Raises RefusedError, with the code and field that the service would name."""
    kind = frame.get("type")
    if not isinstance(kind, str) or kind not in _client_types():
        raise RefusedError("invalid_value", f"Invalid value: {kind!r}. Supported: {[*_client_types()]}.", "type")
    if kind == "session.input_audio.append" and set(frame) <= {"type", "audio", "event_id"}:
        _check_audio(frame.get("audio"))
        return
    if null := next(_nulls(frame, ""), None):
        raise RefusedError("invalid_value", f"null: {null!r}.", null)
    if kind.endswith(("instructions.append", "thinking.append", "commentary.append")) and "delegation_id" not in frame:
        raise RefusedError("missing_required_parameter", "Missing: 'delegation_id'.", "delegation_id")
    try:
        _client_types()[kind].validate_python([frame], strict=True)
    except ValidationError as error:
        found = error.errors()[0]
        param = ".".join(str(part) for part in found["loc"][1:])
        code = {"extra_forbidden": "unknown_parameter", "missing": "missing_required_parameter"}.get(found["type"])
        raise RefusedError(code or "invalid_value", f"{found['msg']}: '{param}'.", param) from None


def _nulls(value: object, path: str) -> Iterator[str]:
    """The paths of what is null and may not be."""
    if isinstance(value, dict):
        for name, inner in value.items():
            inner_path = f"{path}.{name}" if path else name
            if inner is None and name not in _NULLABLE:
                yield inner_path
            elif name not in {"parameters", "arguments"}:
                yield from _nulls(inner, inner_path)
    elif isinstance(value, list):
        for entry in value:
            yield from _nulls(entry, path)


def _check_audio(audio: object) -> None:
    if not isinstance(audio, str):
        raise RefusedError("missing_required_parameter", "Missing required parameter: 'audio'.", "audio")
    try:
        data = base64.b64decode(audio, validate=True)
    except binascii.Error as error:
        raise RefusedError("invalid_value", "Invalid 'audio'. Expected base64-encoded audio bytes.", "audio") from error
    if len(data) % 2 or not data:
        raise RefusedError("invalid_value", f"{len(data)} bytes of audio are no samples.", "audio")


def check_server_frame(frame: Frame) -> None:
    """Raises AssertionError or ValidationError."""
    if frame["type"] == "session.output_audio.delta":
        assert set(frame) == {"type", "delta"}, frame
        return
    extras = list(_extras(_server_types().validate_python(frame)))
    assert not extras, f"{frame['type']} has {extras}"
    if frame["type"] == "response.event":
        _backend_types().validate_python(frame["event"])


def _extras(value: object) -> Iterator[str]:
    if isinstance(value, BaseModel):
        yield from value.model_extra or {}
        for name in type(value).model_fields:
            yield from _extras(getattr(value, name))
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from _extras(entry)
