"""What somebody may have meant by a command or an option that there is not, mostly as other programs call it."""

import re
import shlex
from collections.abc import Collection, Mapping, Sequence

from voicecli.text import nearest

__all__ = ["command_hint", "misplaced_option_hint", "option_hint", "stray_argument_hint", "subcommand_hint"]

_OPTIONS = {
    "--text-only": "--no-audio --no-sound --no-voice --no-speech --no-tts --text --written --mute --modalities",
    "--system": "--prompt --instructions --instruction --system-prompt --persona --role --context",
    "--system-file": "--prompt-file --instructions-file --system-prompt-file",
    "--input": "--file --audio --audio-file --input-file --in --infile --wav --source --stdin",
    "--output": "--out --outfile --output-file --save --save-audio --destination --stdout",
    "--language": "--lang --locale --spoken-language",
    "--input-device": "--mic --microphone --device --input-dev --record-device",
    "--output-device": "--speaker --loudspeaker --output-dev --playback-device --audio-device",
    "--provider": "--engine --backend --service --api --platform --client",
    "--base-url": "--url --endpoint --host --server --api-base --openai-base-url --address",
    "--max-output-tokens": "--max-tokens --num-predict --max-length --limit --n-predict",
    "--temperature": "--temp --randomness",
    "--speed": "--rate --speech-rate --voice-speed --tempo",
    "--input-rate": "--sample-rate --samplerate --frequency --hz --raw",
    "--voice": "--speaker-id --tts-voice --voice-id --voice-name",
    "--debug": "--verbose --log-file --trace --dump",
    "--response-timeout": "--timeout --wait --max-time",
    "--connect-timeout": "--dial-timeout --connection-timeout",
    "--reconnects": "--retries --retry --max-retries --reconnect",
    "--json": "--jsonl --json-lines --stream-json --format --output-format --events --machine-readable",
    "--quiet": "--silent --raw-text --bare --plain",
    "--tools": "--functions --function --plugins --tool --tools-file",
    "--mcp": "--mcp-server --mcp-servers --server --tool-server",
    "--mcp-config": "--mcp-file --mcp-json",
    "--effort": "--thinking --think --reasoning --reasoning-effort --thinking-budget",
    "--vad": "--push-to-talk --ptt --turn-detection --turns --server-vad --manual",
    "--silence-ms": "--silence --pause --hangover --endpointing --silence-duration",
    "--vad-threshold": "--threshold --sensitivity --energy-threshold",
    "--echo": "--aec --echo-cancellation --echo-canceller --headphones --no-echo",
    "--header": "--headers -H",
    "--no-interrupt": "--no-barge-in --barge-in --interruptions --no-interruptions",
    "--play": "--speak --aloud --playback --say --autoplay",
    "--no-play": "--no-playback --no-speaker --no-speak --no-autoplay",
    "--llm": "--gguf --model-file --local-model --llm-url",
    "--llm-model": "--ollama-model --llm-name",
    "--live": "--remote",
    "--help": "--usage --man -help -?",
}
"""Option -> names by which others call it."""

_COMMANDS = {
    "chat": "talk listen speak start run conversation live record converse assistant",
    "send-text": "ask say prompt text send write query question tell message complete",
    "transcribe": "transcript transcription captions subtitles dictate dictation stt srt vtt",
    "translate": "interpret interpreter translation",
    "list-devices": "devices device microphones speakers audio-devices list",
    "list-providers": "providers provider backends",
    "list-models": "model",
    "models": "pull download gguf",
    "setup": "init configure wizard onboard install",
    "keys": "key auth login credentials",
    "config": "settings preferences configuration",
    "list-voices": "voices",
    "list-tools": "tools mcp functions list-mcp",
    "test-audio": "test mic-test",
    "doctor": "check diagnose diagnostics health status troubleshoot info",
    "--version": "version",
    "--help": "help man usage",
}
"""Command -> names by which others call it."""

_SUBCOMMANDS = {
    "show": "list ls get view print cat dump",
    "list": "ls show all status search available",
    "set": "add store save put new import login create change update",
    "unset": "remove rm delete del reset clear",
    "pull": "download get add install fetch",
    "remove": "rm delete del unset uninstall clear logout",
    "clear": "clean remove rm delete del purge empty prune",
    "edit": "open editor",
    "cost": "costs price prices spent usage money",
    "delete": "remove rm del unset clear erase forget",
    "export": "save write convert subtitles captions srt vtt html markdown",
    "search": "find grep query look",
    "on": "enable start yes true",
    "off": "disable stop no false",
    "path": "where file folder directory dir location show list ls size",
}
"""Command of a group -> names by which others call it."""

_KEYS = ("--api-key", "--apikey", "--key", "--token", "--openai-api-key", "--gemini-api-key", "-k")
_LONGEST = 60  # characters of somebody's words that are repeated


def option_hint(option: str, known: Collection[str]) -> str:
    """A sentence about an option that the command does not have; "" where nothing comes near.

    Args:
        known: the command's options.
    """
    if option in _KEYS:
        return "A key is no option, as others can see those: `voice keys set` stores it."
    near = _meant(option, _OPTIONS, known)
    if not near and not any(option in others.split() for others in _OPTIONS.values()):  # else it is another command's
        near = nearest(option, known, likeness=0.75)
    return f"Did you mean {near}?" if near else ""


def misplaced_option_hint(option: str, known: Mapping[str, Collection[str]]) -> str:
    """A sentence about an option that stands before the command, or that only another command has.

    Args:
        known: the options of each command that has it.
    """
    meant = {
        command: option if option in options else _meant(option, _OPTIONS, options)
        for command, options in known.items()
    }
    having = [(command, name) for command, name in meant.items() if name]
    return f"It goes with this command: voice {' '.join(having[0])}" if having else ""


def command_hint(word: str, commands: Collection[str]) -> str:
    """A sentence about what stands where a command is to stand: a file, a question, or a wrong name."""
    known = [*commands, "--version", "--help"]
    if near := _meant(word, _COMMANDS, known):
        return f"Did you mean voice {near}?"
    if file := _file_hint(word):
        return file
    if re.search(r"\s|\?$", word):
        return f"To say it: voice send-text {_quoted(word)}"
    near = nearest(word, commands)
    if near:
        return f"Did you mean voice {near}?"
    return f"`voice --help` lists the commands. To say it: voice send-text {_quoted(word)}"


def subcommand_hint(word: str, commands: Collection[str], group: str) -> str:
    """A sentence about what stands where a command of a group is to stand.

    Args:
        group: its name, as "models".
    """
    near = _meant(word, _SUBCOMMANDS, commands) or nearest(word, commands)
    return f"Did you mean voice {group} {near}?" if near else f"`voice {group} --help` lists its commands."


def stray_argument_hint(words: Sequence[str], command: str) -> str:
    """A sentence about words behind a command that takes none of them."""
    if command == "send-text":
        return 'Put the whole text in quotes: voice send-text "..."'
    if command != "chat":
        return ""
    return _file_hint(words[0]) or f"To say it: voice send-text {_quoted(' '.join(words))}"


def _file_hint(word: str) -> str:
    from voicecli.audio.files.formats import HEAD_SIZE, has_sound_name, is_sound
    from voicecli.text_files import looks_like_text

    head = b""
    try:
        with open(word, "rb") as file:
            head = file.read(4_096)
    except (OSError, ValueError):
        pass
    if has_sound_name(word) or is_sound(head[:HEAD_SIZE]):
        return f"To have it heard: voice chat -i {_quoted(word)}"
    return f"To have it read: voice send-text {_quoted('@' + word)}" if head and looks_like_text(head) else ""


def _meant(word: str, table: Mapping[str, str], known: Collection[str]) -> str:
    found = (name for name, others in table.items() if word in others.split() and name in known)
    return next(found, "")


def _quoted(text: str) -> str:
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}..."
    if re.fullmatch(r"[\w./@~-]+", text):
        return text
    return f'"{text}"' if re.fullmatch(r"[\w\s.,:;?'@/()+-]*", text) else shlex.quote(text)
