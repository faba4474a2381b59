"""A check that any test of a conversation can make: its recording, replayed, gives the same."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from voicecli.commands import Command
from voicecli.events import Event
from voicecli.ports import ConversationSetup, Provider
from voicecli.providers import find_provider
from voicecli.replay.recorder import SessionRecorder
from voicecli.replay.recording import SessionRecording
from voicecli.replay.replaying import Replay, replay_of

__all__ = ["events_of", "recorder_checked", "replay_alike"]


def replay_alike(
    path: Path, find: Callable[[str], Provider] = find_provider
) -> tuple[Replay, list[tuple[float, Event | Command]]]:
    """The replay of a finished recording, after it gave the same events and the same messages to the server."""
    recording = SessionRecording(path)
    replay = replay_of(recording, find)
    happened = list(replay.run())
    assert replay.differences == []
    assert replay.sent == []
    assert recording.finished
    return replay, happened


def events_of(happened: list[tuple[float, Event | Command]]) -> list[Event]:
    return [each for _, each in happened if isinstance(each, Event)]


@contextlib.contextmanager
def recorder_checked(setup: ConversationSetup, provider: Provider) -> Iterator[SessionRecorder]:
    """A recorder for a conversation, whose recording is checked at the end."""
    with tempfile.TemporaryDirectory() as folder:
        recorder = SessionRecorder(f"{folder}/session.jsonl", provider.name, "", setup)
        try:
            yield recorder
        finally:
            recorder.close()
        replay_alike(recorder.path, lambda name: provider)
