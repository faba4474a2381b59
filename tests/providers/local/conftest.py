from voicecli.providers.local.chat_model import Message

HEAD = Message("system", "You are a friendly voice assistant. Your answers are spoken, so keep them short.")
