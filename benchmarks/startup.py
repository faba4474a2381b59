"""How long `voice --help` takes beside `python -c "import typer, rich"`.

python benchmarks/startup.py
"""

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
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS + 1):  # the first one warms the disk's cache
        for name, command in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
            times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values[1:]) for name, values in times.items()}
    base = medians["import typer, rich"]
    for name, median in medians.items():
        print(f"{name:20} {median * 1000:6.0f} ms   {median / base:.2f} x")


if __name__ == "__main__":
    main()
