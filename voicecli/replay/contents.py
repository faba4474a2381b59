"""What a recording of a session holds, in figures: for those who think about giving it away."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from voicecli.pcm16 import PcmFormat
from voicecli.replay.encoding import CLASS

__all__ = ["Contents"]


@dataclass
class Contents:
    """Figures about a recording, counted line by line.

    Attributes:
        provider, model, voicecli: of the header.
        began: when, in ISO 8601 and UTC.
        duration_ms: until the last line, in ms.
        user_audio_ms, assistant_audio_ms: how long the user's and the model's sound is, in ms.
        user_words, assistant_words: how many words there are of what was spoken, as far as it was transcribed.
        written_words: of what the user wrote.
        pictures: how many were shown.
        tools: name -> how often it was called.
        earlier_turns: of conversations before, that the model was told.
        has_system_prompt: whether it holds one.
        sockets: how many were opened.
        events: how many the program was told.
        has_messages: whether it holds what passed between voicecli and the provider's server.
    """

    provider: str = ""
    model: str = ""
    voicecli: str = ""
    began: str = ""
    duration_ms: float = 0.0
    user_audio_ms: float = 0.0
    assistant_audio_ms: float = 0.0
    written_words: int = 0
    pictures: int = 0
    tools: Counter[str] = field(default_factory=Counter)
    earlier_turns: int = 0
    has_system_prompt: bool = False
    sockets: int = 0
    events: int = 0
    has_messages: bool = False
    _rates: tuple[int, int] = (1, 1)
    _spoken: dict[tuple[str, str], int] = field(default_factory=dict)

    @property
    def user_words(self) -> int:
        return self._words("user")

    @property
    def assistant_words(self) -> int:
        return self._words("assistant")

    def add(self, line: Mapping[str, Any]) -> None:
        """Count a line of the recording."""
        self.duration_ms = max(self.duration_ms, line.get("at_ms", 0.0))
        match line["kind"]:
            case "header":
                self.provider, self.model, self.voicecli = line["provider"], line["model"], line["voicecli"]
                self.began = line["began"]
                self.earlier_turns = len(line.get("history", ()))
                self.has_system_prompt = bool(line["settings"].get("system_prompt"))
            case "connection":
                capabilities = line["capabilities"]
                self._rates = capabilities["input_rate"], capabilities["output_rate"]
            case "opened":
                self.sockets += 1
            case "sent" | "received":
                self.has_messages = True
            case "command":
                self._add_command(line["command"])
            case "event" | "told":
                self._add_event(line["event"])

    def as_json(self) -> dict[str, Any]:
        """The figures as `voice replay --describe --json` tells them."""
        return {
            "provider": self.provider,
            "model": self.model,
            "voicecli": self.voicecli,
            "began": self.began,
            "duration_ms": round(self.duration_ms),
            "user_audio_ms": round(self.user_audio_ms),
            "assistant_audio_ms": round(self.assistant_audio_ms),
            "user_words": self.user_words,
            "assistant_words": self.assistant_words,
            "written_words": self.written_words,
            "pictures": self.pictures,
            "tools": dict(self.tools),
            "earlier_turns": self.earlier_turns,
            "system_prompt": self.has_system_prompt,
            "sockets": self.sockets,
            "events": self.events,
            "messages": self.has_messages,
            "keys": False,
        }

    def sentence(self) -> str:
        """The figures in a sentence, without its end: "12.3 s of your voice, ... and no keys"."""
        calls = sum(self.tools.values())
        parts = [
            f"{self.user_audio_ms / 1000:.1f} s of your voice" if self.user_audio_ms else "",
            f"{self.assistant_audio_ms / 1000:.1f} s of the model's" if self.assistant_audio_ms else "",
            _counted(self.user_words + self.assistant_words, "spoken word"),
            _counted(self.written_words, "word that you wrote", "words that you wrote"),
            _counted(self.pictures, "picture"),
            _counted(calls, "tool call"),
            _counted(self.earlier_turns, "earlier turn"),
            "the system prompt" if self.has_system_prompt else "",
        ]
        return ", ".join(part for part in parts if part) + " and no keys" if any(parts) else "no words and no keys"

    def _words(self, role: str) -> int:
        return sum(count for (who, _), count in self._spoken.items() if who == role)

    def _add_command(self, command: Mapping[str, Any]) -> None:
        match command[CLASS]:
            case "AppendAudio":
                self.user_audio_ms += PcmFormat(self._rates[0]).duration_ms(_size(command["audio"]))
            case "SendText":
                self.written_words += len(command["text"].split())
            case "SendImage":
                self.pictures += 1

    def _add_event(self, event: Mapping[str, Any]) -> None:
        self.events += event[CLASS] not in {"Ended", "Expiring"}
        match event[CLASS]:
            case "AudioChunk":
                self.assistant_audio_ms += PcmFormat(self._rates[1]).duration_ms(_size(event["audio"]))
            case "TranscriptUpdate":
                self._spoken[event["role"], event["item_id"]] = len(event["text"].split())
            case "ToolCallRequest":
                self.tools[event["name"]] += 1


def _size(audio: str | Mapping[str, int]) -> int:
    """How many bytes the sound has, of which base64 or a digest stands there."""
    if isinstance(audio, str):
        return len(audio) // 4 * 3 - audio[-2:].count("=")
    return audio["bytes"]


def _counted(count: int, noun: str, several: str = "") -> str:
    if not count:
        return ""
    return f"{count} {noun if count == 1 else several or f'{noun}s'}"
