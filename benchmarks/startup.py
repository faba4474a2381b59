"""How long `voice --help` takes beside `python -c "import typer, rich"`.

python benchmarks/startup.py
"""

import os
import statistics
import subprocess
import sys
import time

ROUNDS = 15
COMMANDS = {
    "import typer, rich": [sys.executable, "-c", "import typer, rich"],
    "voice --help": [sys.executable, "-m", "voicecli", "--help"],
    "voice list-models": [sys.executable, "-m", "voicecli", "list-models"],
    "voice chat --help": [sys.executable, "-m", "voicecli", "chat", "--help"],
    "import voicecli": [sys.executable, "-c", "import voicecli"],
}


def main() -> None:
    wall: dict[str, list[float]] = {name: [] for name in COMMANDS}
    processor: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS + 1):  # the first one warms the disk's cache
        for name, command in COMMANDS.items():
            start, used = time.perf_counter(), _children_s()
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
            wall[name].append(time.perf_counter() - start)
            processor[name].append(_children_s() - used)
    for title, times in (("elapsed", wall), ("processor", processor)):  # the second is steadier on a busy machine
        medians = {name: statistics.median(values[1:]) for name, values in times.items()}
        base = medians["import typer, rich"]
        for name, median in medians.items():
            print(f"{title:9} {name:20} {median * 1000:6.0f} ms   {median / base:.2f} x")


def _children_s() -> float:
    """Processor time of the processes that were started and have ended, in seconds."""
    times = os.times()
    return times.children_user + times.children_system


if __name__ == "__main__":
    main()
