"""How well voicecli hears: each module here is a command of `python -m benchmarks.hearing`.

A command is a module with a docstring, `add_arguments(parser)` and `run(options)`. It makes its sounds with
`benchmarks.sounds`, and prints the figures of before and after from one run.
"""

__all__: list[str] = []
