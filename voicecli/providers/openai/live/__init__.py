"""GPT-Live: OpenAI's full-duplex sessions, whose clock only the user's audio moves. It may know what its parent may."""

from voicecli.providers.openai.live.codec import LiveCodec

__all__ = ["LiveCodec"]
