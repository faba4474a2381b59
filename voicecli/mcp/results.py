"""Results of MCP tools, as the model gets them."""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from typing import Any

from voicecli.commands import SendImage
from voicecli.text import valid_text
from voicecli.tools import ToolOutput

__all__ = ["MAX_TEXT", "tool_output"]

MAX_TEXT = 8_000
"""Characters of a result, about 2,000 tokens: it is talked about, and stays in the conversation."""

_MAX_PICTURES = 4
_MAX_PICTURE_BYTES = 4 * 2**20  # with base64 below what a message to a provider may hold
_SIGNATURES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}


def tool_output(blocks: Iterable[Mapping[str, Any]], structured: Any = None) -> ToolOutput:
    """The text and the pictures of a result.

    Args:
        blocks: its content, as MCP writes it in JSON.
        structured: its structured content, which most servers repeat as text: taken where there is no text.
    """
    texts: list[str] = []
    pictures: list[SendImage] = []
    too_many = 0
    for block in blocks:
        match block.get("type"):
            case "image" if picture := _picture(block):
                if len(pictures) < _MAX_PICTURES:
                    pictures.append(picture)
                else:
                    too_many += 1
            case "image":
                texts.append(f"[A picture ({_kind(block)}) is left out.]")
            case "audio":
                texts.append(f"[A sound ({_kind(block)}) is left out.]")
            case _:
                texts.append(_text(block))
    if too_many:
        texts.append("[Another picture is left out.]" if too_many == 1 else f"[{too_many} more pictures are left out.]")
    text = "\n".join(filter(None, texts))
    if not text and structured is not None:
        text = json.dumps(structured, ensure_ascii=False)
    return ToolOutput(_presentable(text) or ("" if pictures else "Done, without output."), tuple(pictures))


def _text(block: Mapping[str, Any]) -> str:
    match block:
        case {"type": "text", "text": str(text)}:
            return text
        case {"type": "resource_link", "uri": str(uri)}:
            return f"{block.get('title') or block.get('name') or 'A file'}: {uri}"
        case {"type": "resource", "resource": {"text": str(text)}}:
            return text
        case {"type": "resource", "resource": {"uri": str(uri)}}:
            return f"[{uri} is no text, and left out.]"
    return ""


def _picture(block: Mapping[str, Any]) -> SendImage | None:
    """The picture, by what its bytes say; None where no provider takes it."""
    data = block.get("data")
    if not isinstance(data, str) or len(data) > _MAX_PICTURE_BYTES * 4 // 3 + 4:
        return None
    try:
        decoded = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return None
    kinds = [kind for signature, kind in _SIGNATURES.items() if decoded.startswith(signature)]
    return SendImage(decoded, kinds[0]) if kinds else None


def _kind(block: Mapping[str, Any]) -> str:
    kind = block.get("mimeType")
    return kind if isinstance(kind, str) and kind.isprintable() and len(kind) < 64 else "of an unknown kind"


def _presentable(text: str) -> str:
    """The text without control characters, cut where it is too long."""
    text = valid_text(text)
    text = "".join(char for char in text if char in "\n\t" or (char >= " " and char != "\x7f")).strip()
    left = len(text) - MAX_TEXT
    return text if left <= 0 else f"{text[:MAX_TEXT]}\n[{left} more characters are left out.]"
