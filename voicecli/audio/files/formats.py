"""Formats of sound by their first bytes. Of signatures in letters more than the letters is asked, as text has them."""

import re
from pathlib import PurePath

__all__ = ["HEAD_SIZE", "has_sound_name", "is_sound", "needs_ffmpeg"]

HEAD_SIZE = 12
"""Bytes from which a format can be told."""

_BY_LIBSNDFILE = re.compile(
    rb"(?:RIFF|RIFX|RF64|BW64|FFIR)....WAVE|riff\x2e\x91\xcf\x11|fLaC[\x00\x80]\x00|OggS\x00|ID3[\x02-\x04]"
    rb"|FORM....(?:AIFF|AIFC|8SVX)|\.snd\x00|caff\x00\x01|Creative Voi|\xff[\xe2-\xfb][^\xff]",
    re.DOTALL,
)
_BY_FFMPEG = {
    "MPEG-4": rb"....ftyp",
    # Its frames begin like those of MP3, with a layer that MP3 does not have.
    "AAC": rb"\xff[\xf0\xf1\xf8\xf9]",
    "Matroska or WebM": rb"\x1aE\xdf\xa3",
    "AMR": rb"#!AMR(?:-WB)?\n",
    "Windows Media": rb"0&\xb2u\x8ef\xcf\x11",
    "AVI": rb"RIFF....AVI ",
    "Flash video": rb"FLV\x01",
    "Monkey's Audio": rb"MAC .\x0f",
    "WavPack": rb"wvpk....[\x00-\x1f]",
    "Dolby Digital": rb"\x0b\x77",
}
_NAMES = re.compile(
    r"\.(?:wave?|rf64|w64|flac|og[ag]|opus|mp[34]|aif[fc]?|au|snd|caf|m4[ab]|mov|webm|mk[av]|aac|amr|wma|3gp|ac3|ape|wv"
    r"|avi|flv)",
    re.IGNORECASE,
)


def is_sound(head: bytes) -> bool:
    """True when what begins with these bytes is sound, or a video, by its signature."""
    return _BY_LIBSNDFILE.match(head) is not None or needs_ffmpeg(head) != ""


def needs_ffmpeg(head: bytes) -> str:
    """The name of the format, where it is one that libsndfile does not read; "" for all others."""
    return next((name for name, begin in _BY_FFMPEG.items() if re.match(begin, head, re.DOTALL)), "")


def has_sound_name(path: str) -> bool:
    """True when a file is called like one of sound."""
    return _NAMES.fullmatch(PurePath(path).suffix) is not None
