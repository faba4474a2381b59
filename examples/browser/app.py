"""A voice in the browser: the key stays here, the sound goes through one WebSocket.

pip install voicecli fastapi "uvicorn[standard]" && python app.py, then open http://localhost:8000
"""

import asyncio
from pathlib import Path

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.staticfiles import StaticFiles

from voicecli import RealtimeError, RealtimeVoice, VoiceSession
from voicecli.events import AudioChunk, Interrupted, TranscriptUpdate
from voicecli.providers import Provider


async def tell(session: VoiceSession, browser: WebSocket) -> None:
    """Pass on what the browser plays and shows, in the order in which it happened."""
    async for event in session:
        match event:
            case AudioChunk(audio=audio):
                await browser.send_bytes(audio)  # PCM16 mono at session.output_rate Hz
            case TranscriptUpdate(role=role, item_id=item, text=text, final=final):
                await browser.send_json({"type": "text", "role": role, "item": item, "text": text, "final": final})
            case Interrupted():
                await browser.send_json({"type": "interrupted"})  # drop what is not yet played


async def talk(browser: WebSocket, rate: int, provider: str | Provider | None) -> None:
    async with RealtimeVoice(provider).connect() as session:
        await browser.send_json({"type": "ready", "rate": session.output_rate})
        telling = asyncio.create_task(tell(session, browser))
        try:
            async for sound in browser.iter_bytes():  # until the browser leaves
                await session.send_audio(sound, sample_rate=rate, wait=False)
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)


def make_app(provider: str | Provider | None = None) -> FastAPI:
    app = FastAPI()

    @app.websocket("/voice")
    async def voice(browser: WebSocket, rate: int = 24_000) -> None:
        """One conversation. The browser sends PCM16 mono, at `rate` Hz."""
        await browser.accept()
        try:
            await talk(browser, rate, provider)
        except RealtimeError as error:
            await browser.send_json({"type": "error", "message": str(error)})
            await browser.close()
        except WebSocketDisconnect:
            pass  # the browser left while something was sent to it

    app.mount("/", StaticFiles(directory=Path(__file__).parent / "page", html=True))
    return app


if __name__ == "__main__":
    uvicorn.run(make_app(), host="127.0.0.1", port=8000)
