from voicecli.providers.local.llm import Message

HEAD = Message("system", "You are a friendly voice assistant. Your answers are spoken, so keep them short.")
