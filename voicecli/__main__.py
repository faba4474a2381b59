"""`python -m voicecli` is `voice`."""

from voicecli.cli import main

main()
