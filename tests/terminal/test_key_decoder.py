"""Decoding of what terminals send."""

import pytest

from voicecli.terminal.key_decoder import Key, KeyDecoder


@pytest.mark.parametrize(
    ("sent", "keys"),
    [
        ("m?é日", [Key("m", "m"), Key("?", "?"), Key("é", "é"), Key("日", "日")]),
        (" \r\n\t\x7f", [Key("space", " "), Key("enter"), Key("enter"), Key("tab"), Key("backspace")]),
        ("\x01\x15\x1c", [Key("ctrl+a"), Key("ctrl+u"), Key("ctrl+\\")]),
        ("\x1b[A\x1bOB\x1b[1;5C\x1b[3~", [Key("up"), Key("down"), Key("ctrl+right"), Key("delete")]),
        ("\x1bb\x1b\x7f", [Key("alt+b"), Key("alt+backspace")]),
        ("\x1b[200~two\nlines m\x1b[201~x", [Key("paste", "two\nlines m"), Key("x", "x")]),
        ("\x1b[99~\x1b[<0;1;2M\x1b[5;7R", [Key("unknown")] * 3),
        ("\x1b[\x01m", [Key("unknown"), Key("ctrl+a"), Key("m", "m")]),
        # The kitty keyboard protocol: space held and let go; m; M; an accent; Ctrl-C; Escape; a Shift key alone.
        (
            "\x1b[32;;32u\x1b[32;1:2;32u\x1b[32;1:3u",
            [Key("space", " "), Key("space", " ", "repeat"), Key("space", "", "release")],
        ),
        ("\x1b[109u\x1b[109;2;77u\x1b[0;;233u", [Key("m", "m"), Key("M", "M"), Key("é", "é")]),
        ("\x1b[99;5u\x1b[27u\x1b[57441;2u", [Key("ctrl+c"), Key("escape"), Key("unknown")]),
        ("\x1b[47:63;2;63u\x1b[57414u\x1b[97;65u", [Key("?", "?"), Key("enter"), Key("a", "a")]),
        ("\x1b[1;1:3A\x1b[3;1:2~", [Key("up", "", "release"), Key("delete", "", "repeat")]),
        ("\x1b[99999999999u\x1b[0;;55296:1114112u", [Key("unknown"), Key("unknown")]),
    ],
)
def test_what_a_terminal_sends_is_decoded_however_it_is_cut(sent: str, keys: list[Key]) -> None:
    assert KeyDecoder().feed(sent) == keys
    decoder = KeyDecoder()
    assert [key for char in sent for key in decoder.feed(char)] == keys
    assert not decoder.waiting


def test_a_lone_escape_is_the_key_when_nothing_follows() -> None:
    decoder = KeyDecoder()
    assert decoder.feed("\x1b") == []
    assert decoder.waiting
    assert decoder.flush() == [Key("escape")]
    assert decoder.feed("\x1b\x1b[A") == [Key("escape"), Key("up")]
    assert decoder.feed("\x1b[1;") == []
    assert decoder.flush() == [Key("unknown")], "a broken sequence types nothing"
    assert decoder.flush() == []


def test_a_paste_without_an_end_waits_for_it_and_does_not_grow_for_ever() -> None:
    decoder = KeyDecoder()
    assert decoder.feed("\x1b[200~q") == []
    assert not decoder.waiting
    assert decoder.flush() == []
    assert decoder.feed("x" * (1 << 20)) == [Key("unknown")]
    assert decoder.feed("m") == [Key("m", "m")]


def test_the_terminal_tells_what_it_can() -> None:
    decoder = KeyDecoder()
    assert not decoder.speaks_kitty
    assert decoder.feed("\x1b[?62;4c\x1b[?0u") == []
    assert decoder.speaks_kitty
