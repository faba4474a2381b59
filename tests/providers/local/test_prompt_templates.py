"""Prompts as a model's chat template makes them, up to where the user's text ends. The server is a stand-in."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.support.serving import serving
from voicecli.providers.local.prompt_templates import PromptTemplates


class Server(BaseHTTPRequestHandler):
    """Fills in a template of the usual kind, which takes the space around texts away."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        turns = [f"<|im_start|>{each['role']}\n{each['content'].strip()}<|im_end|>\n" for each in body["messages"]]
        answer = json.dumps({"prompt": f"{''.join(turns)}<|im_start|>assistant\n"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def templates() -> Iterator[PromptTemplates]:
    with serving(HTTPServer(("127.0.0.1", 0), Server)) as server:
        templates = PromptTemplates(f"http://127.0.0.1:{server.server_port}", "key")
        yield templates
        templates.close()


@pytest.mark.parametrize("text", ["What time is it", "is", "assistant", "end", "im"])
def test_the_prompt_ends_with_the_text_also_where_the_template_holds_the_same(
    templates: PromptTemplates, text: str
) -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]
    head = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n"
    assert templates.open_prompt(messages) == head + text


def test_of_no_text_there_is_no_end(templates: PromptTemplates) -> None:
    assert templates.open_prompt([{"role": "user", "content": ""}]) is None
