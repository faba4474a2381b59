"""Recordings of conversations: a stereo WAV file of each, the user on the left, the assistant on the right.

Knows the vocabulary, and `audio`: never a session, a provider or a terminal.
"""

from voicecli.recording.recorder import ConversationRecorder

__all__ = ["ConversationRecorder"]
