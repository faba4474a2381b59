"""The offline engine reaches nobody and leaves nothing behind: as the kernel sees it, whatever library it is.

The command holds the same conversation twice, at once: as it is, and with telemetry let through, which shows that it
would be seen. It lasts long enough for that: telemetry looks up its host 9 s after it was loaded, and 6 s later again.
"""

import importlib.metadata
import ipaddress
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import wave
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import DATA, ROOT
from tests.loopback.hub_server import HubServer
from voicecli.audio.recogniser_files import ensure_recogniser
from voicecli.providers.local.downloads.catalogue import find

_RECORDING_S = 17  # some 20 s with loading and answers
_LONGEST_S = 200  # on a machine with much else to do
pytestmark = pytest.mark.timeout(2 * _LONGEST_S + 20)
_STRACE = ("strace", "-f", "--seccomp-bpf", "-y", "-e", "trace=%network,%file")
_LET_THROUGH = """
import contextlib
import voicecli.telemetry
voicecli.telemetry.without_telemetry = contextlib.nullcontext
from voicecli.cli import main
main()
"""

# "1234  openat(AT_FDCWD</work>, "name", O_RDONLY) = 3": the rest of a call that another thread has interrupted is on a
# line of its own, and holds only what it returned.
_CALL = re.compile(r"\d+ +(\w+)\((.*)")
_PATH = re.compile(r'(?:(?:AT_FDCWD|\d+)(?:<([^>]*)>)?, )?(?<!=)"([^"]*)"')
_INTERNET = re.compile(r'_port=htons\((\d+)\).*?(?:inet_addr\(|inet_pton\(AF_INET6, )"([^"]+)"')
_UNIX = re.compile(r'sun_path=(@?"[^"]+")')
_CHANGES = re.compile(
    r"[fl]?(?:creat|mkdir|mknod|rename|link|symlink|unlink|rmdir|truncate|chmod|chown|utime|setxattr)"
)
_TO_WRITE = re.compile(r"\bO_(?:WRONLY|RDWR|CREAT|TRUNC)\b")

_READ_TO_LOOK_UP = {"/etc/hosts", "/etc/resolv.conf"}  # by the C library
_PORTS_TO_LOOK_UP = {53, 853, 5353}  # where the resolver may well be on this machine
_TEMPORARY = re.compile(r"voicecli-.+|[a-z0-9_]{8}")  # ours, and Python's to see whether it can write there
_ELSEWHERE = re.compile(r"/dev/null$|/tmp/voicecli-")


@pytest.fixture(scope="module", autouse=True)
def strace() -> None:
    if sys.platform != "linux" or shutil.which("strace") is None:
        pytest.skip("system calls are watched with strace, which is not here")
    tried = subprocess.run([*_STRACE, "-o", os.devnull, "true"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"strace may not trace here: {tried.stderr.strip()}")


@dataclass
class Watched:
    """A program under strace, with a home of its own.

    Attributes:
        contacts: whom it turned to, but for this machine itself and its own sockets; and what it read for a name.
        changes: what it made, wrote or removed outside its own folders.
    """

    folder: Path
    contacts: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    _process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        for path in (self.home, self.temporary, self.cache, self.work):
            path.mkdir(parents=True)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def temporary(self) -> Path:
        return self.folder / "temporary"

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def work(self) -> Path:
        """The working directory, where the output goes."""
        return self.folder / "work"

    @property
    def output(self) -> str:
        return (self.folder / "output").read_text()

    def start(self, *arguments: str, **environment: str) -> None:
        """Run Python."""
        # Nothing else of the environment: telemetry is silent where a variable tells of a CI or of unit tests.
        environment |= {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "VOICECLI_CACHE": str(self.cache),
            "VOICECLI_HISTORY": str(self.cache / "history"),
            "VOICECLI_LLM_PORTS": "9",  # looked at, and nobody is there
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",  # beside its source, which is not what this is about
        }
        with (self.folder / "output").open("wb") as output:
            self._process = subprocess.Popen(
                [*_STRACE, "-o", str(self.folder / "trace"), sys.executable, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.work,
                env=environment,
            )

    def finish(self) -> None:
        assert self._process is not None
        assert self._process.wait(_LONGEST_S) == 0, self.output
        with (self.folder / "trace").open(encoding="utf-8", errors="backslashreplace") as trace:
            calls = [call.groups() for line in trace if (call := _CALL.match(line))]
        assert len(calls) > 100, "Python needs more to start"
        for name, arguments in calls:
            self._judge(name, arguments)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()  # strace ends what it traces
            self._process.wait()

    def _judge(self, name: str, arguments: str) -> None:
        # What was asked for counts, whether it was granted or not.
        for port, address in _INTERNET.findall(arguments):
            if int(port) in _PORTS_TO_LOOK_UP or not ipaddress.ip_address(address).is_loopback:
                self.contacts.append(f"{name} {address} {port}")
        for path in _UNIX.findall(arguments):
            if not self._is_own(Path(path.strip('"'))):  # such as the resolver's, or a name service's
                self.contacts.append(f"{name} {path}")
        changes = _CHANGES.match(name) or _TO_WRITE.search(arguments)
        for folder, path in _PATH.findall(arguments):
            if path in _READ_TO_LOOK_UP:
                self.contacts.append(f"{name} {path}")
            if changes and not self._is_own(Path(folder or self.work, path)):
                self.changes.append(f"{name} {path}")

    def _is_own(self, path: Path) -> bool:
        path = Path(os.path.normpath(path))
        if path.is_relative_to(self.temporary):
            inside = path.relative_to(self.temporary).parts
            return bool(inside) and _TEMPORARY.fullmatch(inside[0]) is not None
        # A socket's name must be short: where the directory for temporary files is deep, it is in /tmp.
        return (
            path.is_relative_to(self.work) or path.is_relative_to(self.cache) or _ELSEWHERE.match(str(path)) is not None
        )


@pytest.fixture
def watched() -> Iterator[Watched]:
    with tempfile.TemporaryDirectory(prefix="watched-") as folder:  # short, as the names of sockets must be
        program = Watched(Path(folder).resolve() / "watched")
        yield program
        program.stop()


@dataclass
class Conversations:
    as_it_is: Watched
    let_through: Watched


@pytest.fixture(scope="module")
def conversations(model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Conversations]:
    """A question in real time, its answer, and silence."""
    folder = tmp_path_factory.mktemp("conversations").resolve()
    question = folder / "question.wav"
    with wave.open(str(DATA / "question.wav")) as asked, wave.open(str(question), "wb") as padded:
        padded.setparams(asked.getparams())
        size = _RECORDING_S * asked.getframerate() * asked.getsampwidth()
        padded.writeframes(asked.readframes(asked.getnframes()).ljust(size, b"\0"))
    chat = ("chat", "-p", "local", "--vad", "server", "-i", str(question), "-o", "reply.wav", "--json")
    both = Conversations(Watched(folder / "as_it_is"), Watched(folder / "let_through"))
    for program in (both.as_it_is, both.let_through):
        for path in (model_path, *ensure_recogniser()):
            (program.cache / path.name).symlink_to(path)
    try:
        # Whatever the user's environment says.
        both.as_it_is.start("-m", "voicecli", *chat, ORT_DISABLE_TELEMETRY="0")
        both.let_through.start("-c", _LET_THROUGH, *chat)
        both.as_it_is.finish()
        both.let_through.finish()
        yield both
    finally:
        both.as_it_is.stop()
        both.let_through.stop()


def events(program: Watched) -> list[dict[str, Any]]:
    return [json.loads(line) for line in program.output.splitlines()]


def test_it_was_a_conversation(conversations: Conversations) -> None:
    for program in (conversations.as_it_is, conversations.let_through):
        heard = events(program)
        assert any(event["type"] == "response_done" and event["status"] == "completed" for event in heard)
        assert heard[-1]["type"] == "session_ended"
        assert heard[-1]["time_ms"] > _RECORDING_S * 1000
        with wave.open(str(program.work / "reply.wav")) as reply:
            assert reply.getnframes() > reply.getframerate()


def test_nobody_is_reached_and_no_name_looked_up(conversations: Conversations) -> None:
    assert conversations.as_it_is.contacts == []


def test_nothing_is_left_elsewhere(conversations: Conversations) -> None:
    program = conversations.as_it_is
    assert program.changes == []
    assert list(program.home.iterdir()) == []
    assert list(program.temporary.iterdir()) == []


def test_telemetry_would_be_seen(conversations: Conversations) -> None:
    version = importlib.metadata.version("onnxruntime")
    if tuple(map(int, version.split(".")[:2])) < (1, 29):
        pytest.skip(f"onnxruntime {version} has no telemetry")
    program = conversations.let_through
    assert program.contacts
    assert any("/.cache/Microsoft/" in change for change in program.changes)
    assert list(program.home.rglob("deviceid"))


def test_a_download_reaches_the_hub_and_nobody_else(watched: Watched) -> None:
    voice = find("cori")
    with HubServer.of(voice).running() as hub:
        folder = {"HF_ENDPOINT": hub.url, "VOICECLI_MODELS": str(watched.cache / "models")}
        watched.start("-m", "voicecli", "models", "pull", "cori", **folder)
        watched.finish()
    assert (watched.contacts, watched.changes) == ([], [])
    assert list(watched.home.iterdir()) == []
    assert {seen.headers["User-Agent"].split("/")[0] for seen in hub.seen} == {"voicecli"}


@pytest.mark.parametrize(
    ("code", "contact"),
    [
        ("socket.getaddrinfo('localhost', 80)", "/etc/hosts"),
        ("socket.socket(type=socket.SOCK_DGRAM).connect(('192.0.2.1', 9))", "connect 192.0.2.1 9"),
        ("socket.socket(type=socket.SOCK_DGRAM).sendto(b'', ('192.0.2.1', 9))", "sendto 192.0.2.1 9"),
        ("socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).connect(('2001:db8::1', 9))", "connect 2001:db8::1 9"),
        ("socket.socket(type=socket.SOCK_DGRAM).connect(('127.0.0.53', 53))", "connect 127.0.0.53 53"),
        ("socket.socket(socket.AF_UNIX).connect('/run/nobody')", 'connect "/run/nobody"'),
        ("socket.socket(socket.AF_UNIX).connect('\\0nobody')", 'connect @"nobody"'),
    ],
)
def test_each_contact_is_seen(watched: Watched, code: str, contact: str) -> None:
    watched.start("-c", f"import contextlib, socket\nwith contextlib.suppress(OSError):\n    {code}")
    watched.finish()
    assert any(contact in seen for seen in watched.contacts), watched.contacts


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("Path.home().joinpath('left').touch()", "/home/left"),
        ("Path.home().joinpath('left').mkdir()", "/home/left"),
        ("Path('here').write_text(''); Path('here').rename('../elsewhere')", "../elsewhere"),
        ("Path('../home').rmdir()", "../home"),
        ("Path(os.environ['TMPDIR'], '.ses').touch()", "/temporary/.ses"),
    ],
)
def test_each_change_is_seen(watched: Watched, code: str, change: str) -> None:
    watched.start("-c", f"import os\nfrom pathlib import Path\n{code}")
    watched.finish()
    assert any(seen.endswith(change) for seen in watched.changes), watched.changes


def test_what_is_its_own_is_not_taken_for_more(watched: Watched) -> None:
    watched.start(
        "-c",
        "import os, socket, tempfile\n"
        "with tempfile.TemporaryDirectory(prefix='voicecli-') as folder, socket.socket(socket.AF_UNIX) as local:\n"
        "    local.bind(f'{folder}/s')\n"
        "with socket.create_server(('127.0.0.1', 0)) as server, socket.create_connection(server.getsockname()):\n"
        "    open('output', 'w').close()\n"
        "    os.mkdir(os.environ['VOICECLI_CACHE'] + '/made')\n"
        "    open('/etc/passwd').close()\n",
    )
    watched.finish()
    assert (watched.contacts, watched.changes) == ([], [])
