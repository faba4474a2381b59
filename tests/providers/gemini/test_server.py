"""Over a real socket: our connection and Google's own client, against the strict server."""

import asyncio
import contextlib
import http.server
import json
import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.loopback.gemini_server import KEY, Call, Fault, GeminiServer, Google, Refuse, Reply, tone
from tests.providers.gemini.conversation import weather
from tests.support.serving import serving
from tests.support.settings import config_of
from tests.support.virtual_time import virtual_time
from voicecli.commands import AppendAudio, EndTurn, SendText, StartTurn, ToolResult
from voicecli.config import Reconnect, VADMode
from voicecli.errors import AuthenticationError, QuotaExceededError, RealtimeConnectionError, RealtimeError
from voicecli.events import AudioChunk, Event, Reconnecting, ResponseDone, SessionStarted, ToolCallRequest
from voicecli.ports import Connection, ConversationSetup
from voicecli.providers.gemini import GEMINI
from voicecli.providers.gemini.settings import GeminiSettings
from voicecli.transcript import Transcript

SPEECH = tone(600, rate=16_000)
PATH = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"


@pytest.fixture(autouse=True)
def only_what_the_test_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "GEMINI_API_KEY",
        "GOOGLE_API_KEY",
        "GOOGLE_GEMINI_BASE_URL",
        "GOOGLE_CLOUD_PROJECT",
        "GOOGLE_GENAI_USE_VERTEXAI",
    ):
        monkeypatch.delenv(name, raising=False)
    for scheme in ("http", "https", "ws", "wss", "all"):
        monkeypatch.delenv(f"{scheme}_proxy", raising=False)
        monkeypatch.delenv(f"{scheme}_proxy".upper(), raising=False)


def setup_for(server: GeminiServer, **settings: Any) -> ConversationSetup:
    reconnect = Reconnect(attempts=5, first_delay_s=0.01, max_delay_s=0.05)
    config = config_of(GeminiSettings, **{"api_key": KEY, "base_url": server.url, "reconnect": reconnect, **settings})
    return ConversationSetup(config, (weather,))


E = TypeVar("E")


class Talk:
    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.events: list[Event] = []
        self.transcript = Transcript()
        self._coming: AsyncIterator[Event] = aiter(connection)

    async def ask(self, text: str) -> ResponseDone:
        command = SendText(text, f"text-{len(self.events)}")
        self.transcript.apply(command)
        await self.connection.send(command)
        return await self.until(ResponseDone)

    async def until(self, kind: type[E]) -> E:
        async with asyncio.timeout(60):
            async for event in self._coming:
                self.events.append(event)
                self.transcript.apply(event)
                if isinstance(event, ToolCallRequest):
                    await self.connection.send(ToolResult(event.call_id, "25 degrees"))
                if isinstance(event, kind):
                    return event
        raise AssertionError(f"no {kind} in {self.events}")

    @property
    def audio(self) -> bytes:
        return b"".join(event.audio for event in self.events if isinstance(event, AudioChunk))

    @property
    def lines(self) -> list[tuple[str, str]]:
        return [(turn.role, turn.text) for turn in self.transcript.turns]


async def test_a_conversation_over_the_wire() -> None:
    calls = (Call(name="get_weather", args={"city": "Rome"}),)
    replies = [Reply(text="Hello."), Reply(text="Let me see.", calls=calls), Reply(text="Bye.")]
    async with GeminiServer(replies=replies, hears=["Goodbye."]) as server:
        connection = await GEMINI.connect(setup_for(server))
        talk = Talk(connection)
        try:
            assert (await talk.ask("Hi.")).status == "completed"
            assert not (await talk.ask("The weather?")).awaits_tools
            await connection.send(AppendAudio(SPEECH))
            await connection.send(EndTurn())
            await talk.until(ResponseDone)
        finally:
            await connection.aclose()
    assert server.handshakes[0].headers["x-goog-api-key"] == KEY
    assert KEY not in server.handshakes[0].path
    assert [text for role, text in talk.lines if role == "assistant"] == [
        "Hello.",
        "Let me see.",
        "That is what I found.",
        "Bye.",
    ]
    assert talk.audio == tone(60) + tone(180) + tone(300) + tone(60)


@pytest.mark.parametrize("mode", [VADMode.SERVER, VADMode.CLIENT])
@pytest.mark.parametrize(
    "fault",
    [
        Fault(stage=stage, close=close, reason=reason)
        for stage in ("idle", "user_speaking", "mid_response", "mid_tool")
        for close, reason in (
            (None, ""),
            (1000, ""),
            (1001, "going away"),
            (1006, ""),
            (1011, "Internal error encountered."),
            (1008, "Operation is not implemented, or supported, or enabled."),
        )
    ],
    ids=lambda fault: f"{fault.stage}-{fault.close}",
)
async def test_a_lost_connection_comes_back(fault: Fault, mode: VADMode) -> None:
    calls = (Call(name="get_weather", args={"city": "Rome"}),)
    replies = [Reply(text="One.", calls=calls, after="It is sunny."), Reply(text="Two."), Reply(text="Three.")]
    async with GeminiServer(replies=replies, hears=["First?"] * 2, faults=[fault]) as server:
        connection = await GEMINI.connect(setup_for(server, vad_mode=mode))
        talk = Talk(connection)
        try:
            if mode is VADMode.CLIENT:
                await connection.send(StartTurn())
            for start in range(0, len(SPEECH), 640):
                await connection.send(AppendAudio(SPEECH[start : start + 640]))
            await connection.send(EndTurn())
            done = await talk.until(ResponseDone)
            while done.awaits_tools:
                done = await talk.until(ResponseDone)
            assert done.status in {"completed", "incomplete"}
            assert (await talk.ask("And then?")).status == "completed"
        finally:
            await connection.aclose()
    assert len(server.sessions) == 2
    assert any(isinstance(event, Reconnecting) for event in talk.events)
    assert len([event for event in talk.events if isinstance(event, SessionStarted)]) == 2
    said = [text for _, text in talk.lines if text]
    assert said.count("First?") == said.count("And then?") == 1
    assert len([event for event in talk.events if isinstance(event, ToolCallRequest)]) <= 1


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (
            Fault(stage="before_setup", close=1007, reason="API key not valid. Please pass a valid API key."),
            AuthenticationError,
            "GEMINI_API_KEY",
        ),
        (
            Fault(stage="before_setup", close=1011, reason="You exceeded your current quota, please check your plan"),
            QuotaExceededError,
            "billing",
        ),
        (
            Fault(stage="before_setup", close=1007, reason="Request contains an invalid argument."),
            RealtimeConnectionError,
            "leave options out",
        ),
    ],
)
async def test_a_refused_setup(fault: Fault, kind: type[RealtimeError], words: str) -> None:
    async with GeminiServer(faults=[fault]) as server:
        with pytest.raises(kind, match=words):
            await GEMINI.connect(setup_for(server))
        assert len(server.sessions) == 1


@pytest.mark.parametrize(
    ("settings", "kind", "words"),
    [
        ({"api_key": "AIza-wrong"}, AuthenticationError, "GEMINI_API_KEY"),
        ({"model": "gemini-2.0-flash-exp"}, RealtimeConnectionError, "gemini-3.8-live"),
        ({"api_version": "v7"}, RealtimeConnectionError, "api_version"),
    ],
)
async def test_a_setting_that_the_server_refuses(
    settings: dict[str, str], kind: type[RealtimeError], words: str
) -> None:
    async with GeminiServer() as server:
        with pytest.raises(kind, match=words) as raised:
            await GEMINI.connect(setup_for(server, **settings))
        assert "AIza" not in str(raised.value)


@pytest.mark.parametrize(
    ("status", "kind"), [(403, AuthenticationError), (429, QuotaExceededError), (404, RealtimeConnectionError)]
)
async def test_a_refused_handshake(status: int, kind: type[RealtimeError]) -> None:
    refusal = Refuse(status=status, message="You exceeded your current quota.")
    async with GeminiServer(refuse=[refusal] * 5) as server:
        with pytest.raises(kind):
            await GEMINI.connect(setup_for(server))


@virtual_time
async def test_the_connection_is_replaced_before_google_ends_it() -> None:
    faults = [Fault(stage="idle", go_away_s=50.0)] * 3
    async with GeminiServer(replies=[Reply(text=f"Answer {n}.") for n in range(4)], faults=faults) as server:
        connection = await GEMINI.connect(setup_for(server))
        talk = Talk(connection)
        try:
            for n in range(4):
                await talk.ask(f"Question {n}?")
                if n < 3:
                    await talk.until(SessionStarted)
        finally:
            await connection.aclose()
        assert len(server.sessions) == 4
        assert all("handle" in session.setup["sessionResumption"] for session in server.sessions[1:] if session.setup)
        assert [text for role, text in server.sessions[-1].turns if role == "user"] == [
            f"Question {n}?" for n in range(4)
        ]
    assert not any(isinstance(event, Reconnecting) for event in talk.events)


@virtual_time
async def test_a_silent_model_is_dialled_again_once_and_asked_again() -> None:
    google = Google()
    google.replies.extend([Reply(silent=True), Reply(text="Here I am.")])
    async with GeminiServer(google=google) as server:
        connection = await GEMINI.connect(setup_for(server, response_timeout_s=5))
        talk = Talk(connection)
        try:
            await talk.ask("Are you there?")
        finally:
            await connection.aclose()
    assert talk.lines == [("user", "Are you there?"), ("assistant", "Here I am.")]


async def test_the_models_of_a_key() -> None:
    async with GeminiServer() as server:
        assert GEMINI.fetch_models is not None
        config = setup_for(server).config
        models = await GEMINI.fetch_models(config)
        assert [(model.name, model.note) for model in models][1] == ("gemini-9-live", "Nine")
        assert models[0].prices is not None
        with pytest.raises(AuthenticationError):
            await GEMINI.fetch_models(setup_for(server, api_key="AIza-wrong").config)
    with pytest.raises(RealtimeConnectionError, match="cannot be reached"):
        await GEMINI.fetch_models(config)


def test_the_entry() -> None:
    assert GEMINI.default_model in [model.name for model in GEMINI.models]
    assert GEMINI.default_voice in [voice.name for voice in GEMINI.voices]
    assert len(GEMINI.voices) == len({voice.name for voice in GEMINI.voices}) == 30
    assert not GEMINI.is_configured()
    assert "GEMINI_API_KEY" in GEMINI.setup_advice


# Vertex AI


@pytest.fixture
def google_cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """Application-default credentials whose token server is on loopback; the requests it got."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    requests: list[bytes] = []

    class Tokens(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            requests.append(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps({"access_token": KEY, "expires_in": 3600, "token_type": "Bearer"}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    with serving(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Tokens)) as server:
        account = {
            "type": "service_account",
            "project_id": "p",
            "private_key": pem,
            "client_email": "voice@p.iam.example",
            "token_uri": f"http://127.0.0.1:{server.server_port}/token",
        }
        (tmp_path / "account.json").write_text(json.dumps(account))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "account.json"))
        yield requests


async def test_a_conversation_by_way_of_vertex_ai(google_cloud: list[bytes]) -> None:
    async with GeminiServer(hears=["Hello."]) as server:
        settings = {"project": "p", "location": "us-central1", "api_key": None}
        connection = await GEMINI.connect(setup_for(server, **settings))
        talk = Talk(connection)
        try:
            await connection.send(AppendAudio(SPEECH))
            await connection.send(EndTurn())
            await talk.until(ResponseDone)
        finally:
            await connection.aclose()
        assert server.handshakes[0].headers["Authorization"] == f"Bearer {KEY}"
        assert "aiplatform" in server.handshakes[0].path
        assert not any("audioStreamEnd" in given for given in server.received("realtimeInput"))
    assert len(google_cloud) == 1


# The server itself


async def rest(socket: ClientConnection) -> list[str | bytes]:
    """All messages until the socket is closed."""
    messages: list[str | bytes] = []
    with contextlib.suppress(ConnectionClosed):
        while True:
            messages.append(await socket.recv())
    return messages


@pytest.mark.parametrize(
    ("messages", "code", "reason"),
    [
        (['{"clientContent":{}}'], 1007, "First message must be setup."),
        (["{setup}", "{setup}"], 1007, "Request contains an invalid argument."),
        (["{setup}", '{"realtimeInput":{"mediaChunks":[]}}'], 1007, "media_chunks is deprecated"),
        (["{setup}", '{"realtimeInput":{"text":"a","audioStreamEnd":true}}'], 1007, "invalid argument"),
        (["{setup}", '{"realtimeInput":{"speech":"a"}}'], 1007, "Unknown name \"speech\" at 'realtimeInput'"),
        (["{setup}", '{"clientContent":{"turns":[{"parts":[{"text":"a"}]}]}}'], 1007, "invalid argument"),
        (["{setup}", '{"toolResponse":{"functionResponses":[{"id":"x","response":{}}]}}'], 1007, "invalid argument"),
        (['{"setup":{"model":"models/gemini-3.8-live","tempo":1}}'], 1007, "Unknown name \"tempo\" at 'setup'"),
        (['{"setup":{"model":"models/gpt-4"}}'], 1008, "models/gpt-4 is not found"),
        (
            ['{"setup":{"model":"models/gemini-3.8-live","generation_config":{"response_modalities":["TEXT"]}}}'],
            1007,
            "The requested combination of response modalities (TEXT)",
        ),
        (["not json"], 1007, "Invalid JSON payload"),
    ],
)
async def test_the_server_is_strict(messages: list[str], code: int, reason: str) -> None:
    setup = '{"setup":{"model":"models/gemini-3.8-live"}}'
    async with GeminiServer() as server:
        url = server.url.replace("http", "ws") + PATH
        async with connect(url, additional_headers={"x-goog-api-key": KEY}) as socket:
            for message in messages:
                await socket.send(message.replace("{setup}", setup))
            assert all(isinstance(answer, bytes) for answer in await rest(socket))
            assert socket.close_code == code
            assert reason in (socket.close_reason or "")


async def test_a_go_away_that_is_ignored() -> None:
    async with GeminiServer(faults=[Fault(stage="idle", go_away_s=0.01)]) as server:
        url = server.url.replace("http", "ws") + PATH
        async with connect(url, additional_headers={"x-goog-api-key": KEY}) as socket:
            await socket.send('{"setup":{"model":"models/gemini-3.8-live"}}')
            assert json.loads((await rest(socket))[1]) == {"goAway": {"timeLeft": "0.01s"}}
            assert (socket.close_code, (socket.close_reason or "")[:18]) == (1008, "Connection aborted")


def test_the_server_in_a_thread() -> None:
    with GeminiServer.in_thread() as server:
        assert server.url.startswith("http://127.0.0.1:")


# Google's own client


async def test_googles_own_client_talks_to_the_server() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from google import genai
        from google.genai import types

        calls = (Call(name="get_weather", args={"city": "Rome"}),)
        replies = [Reply(text="Hello."), Reply(text="Let me see.", calls=calls)]
        async with GeminiServer(replies=replies, hears=["The weather?"]) as server:
            client = genai.Client(api_key=KEY, http_options=types.HttpOptions(api_version="v1beta"))
            # The SDK insists on TLS; these two private attributes make it speak without.
            api = client._api_client
            api._websocket_base_url = lambda http_options=None: server.url.replace("http", "ws")  # type: ignore[method-assign]
            api._websocket_ssl_ctx = {}
            function = types.FunctionDeclaration(
                name="get_weather",
                behavior=types.Behavior.BLOCKING,
                parameters=types.Schema(
                    type=types.Type.OBJECT, properties={"city": types.Schema(type=types.Type.STRING)}
                ),
            )
            config = types.LiveConnectConfig(
                response_modalities=[types.Modality.AUDIO],
                system_instruction="Be brief.",
                tools=[types.Tool(function_declarations=[function])],
                realtime_input_config=types.RealtimeInputConfig(
                    automatic_activity_detection=types.AutomaticActivityDetection(disabled=True)
                ),
                input_audio_transcription=types.AudioTranscriptionConfig(),
                output_audio_transcription=types.AudioTranscriptionConfig(),
                session_resumption=types.SessionResumptionConfig(),
            )
            async with client.aio.live.connect(model="gemini-3.8-live", config=config) as session:
                await session.send_client_content(
                    turns=types.Content(role="user", parts=[types.Part(text="Hi.")]), turn_complete=True
                )
                first = [message async for message in session.receive()]
                await session.send_realtime_input(activity_start=types.ActivityStart())
                await session.send_realtime_input(audio=types.Blob(data=SPEECH, mime_type="audio/pcm;rate=16000"))
                await session.send_realtime_input(activity_end=types.ActivityEnd())
                second = []
                async for message in session.receive():
                    second.append(message)
                    for call in (message.tool_call and message.tool_call.function_calls) or []:
                        response = types.FunctionResponse(id=call.id, name=call.name, response={"output": "25"})
                        await session.send_tool_response(function_responses=[response])
    assert b"".join(message.data for message in first if message.data) == tone(60)
    said = [
        message.server_content.output_transcription.text or ""
        for message in second
        if message.server_content and message.server_content.output_transcription
    ]
    assert "".join(said) == "Let me see.That is what I found."
    assert server.sessions[0].heard == SPEECH
