"""Ask one thing, in a sound file or in words, and keep the answer.

python one_utterance.py question.wav
python one_utterance.py "What is the capital of France?"
"""

import sys
from pathlib import Path

import voicecli
from voicecli import RealtimeError
from voicecli.providers import Provider


def main(question: str, provider: str | Provider | None = None) -> None:
    file = Path(question)
    response = voicecli.ask(file if file.exists() else question, provider)
    print("You:", response.user_transcript)
    print("Assistant:", response.transcript)
    if response.audio:
        response.save("reply.wav")


if __name__ == "__main__":
    try:
        main(" ".join(sys.argv[1:]) or "What is the capital of France?")
    except RealtimeError as error:
        sys.exit(str(error))
