"""The page of an interpreter in the live view: its model, its drawing and its keys."""

from typing import Protocol

from rich.console import RenderableType
from rich.text import Text

from voicecli.terminal.fit import Glyphs
from voicecli.terminal.key_decoder import Key
from voicecli.terminal.render_translation import KEYS, draw_scrolled, draw_translation_footer
from voicecli.terminal.translation_view import TranslationView
from voicecli.terminal.view_model import AudioStatus

__all__ = ["TranslationControls", "TranslationPage"]


class TranslationControls(Protocol):
    """Actions of keys. Called in the event loop; nothing here may wait."""

    def mute_microphone(self, muted: bool) -> None: ...
    def mute_speaker(self, muted: bool) -> None: ...
    def end(self) -> None: ...


class TranslationPage:
    """A page for `LiveView`."""

    asleep = False
    types = False

    def __init__(self, view: TranslationView, controls: TranslationControls) -> None:
        self._view = view
        self._controls = controls
        self._printed: object = None

    def clock(self) -> float:
        return self._view.clock()

    def heard(self, audio: AudioStatus) -> None:
        self._view.audio = audio

    def scrolled(self, width: int, glyphs: Glyphs) -> list[RenderableType]:
        drawn = []
        for entry in self._view.take_entries():
            drawn.append(draw_scrolled(entry, self._view, width, glyphs, after=self._printed))
            self._printed = entry
        return drawn

    def footer(self, width: int, height: int, glyphs: Glyphs) -> list[Text]:
        return draw_translation_footer(self._view, width, height, glyphs)

    def press(self, key: Key) -> None:
        view, controls = self._view, self._controls
        if key.action != "press":
            return
        match key.name.lower():
            case "m":
                view.microphone_muted = not view.microphone_muted
                controls.mute_microphone(view.microphone_muted)
            case "s" if view.has_speaker:
                view.speaker_muted = not view.speaker_muted
                controls.mute_speaker(view.speaker_muted)
            case "?" | "h":
                width = max(len(name) for name, _ in KEYS)
                view.note("\n".join(f"{name:<{width}}  {what}" for name, what in KEYS))
            case "q":
                self.end()

    def tick(self) -> None: ...

    def end(self) -> None:
        self._view.end_asked()
        self._controls.end()

    def clear_line(self) -> None: ...

    def finish(self) -> None:
        self._view.finish()
