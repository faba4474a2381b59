"""Calls that a lost socket took along."""

from voicecli.providers.gemini.function_calls import FunctionCalls, read_calls


def test_they_are_given_up_in_the_order_in_which_they_were_made() -> None:
    """In every process alike: a recording of them is replayed in another one."""
    names = [f"call_{number}" for number in range(12)]
    calls = FunctionCalls({}, scheduling=False)
    wanted = [{"id": name, "name": "weather", "args": {}} for name in names]
    for call in read_calls({"functionCalls": wanted}):
        calls.requested(call)
    calls.socket_lost()
    assert calls.lost
    assert calls.abandoned() == names
    assert not calls.pending
