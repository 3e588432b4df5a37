"""A server with the part of vLLM's interface that step 04 uses, and our models behind it."""

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from clinical_camel import models
from clinical_camel.note_synthesis import server

Reply = tuple[int, Any]  # HTTP status, content


class Vllm:
    """The server in threads of its own; `url` while it runs.

    It serves each of `llms` under the name that step 04 expects. `faults` answer the first requests
    in place of a model, one each; None, and a fault that returns None, leave a request alone.
    `listed`: the answer to the request for the list of models. `bodies`: the requests.
    """

    def __init__(
        self,
        llms: Mapping[str, models.LLM],
        faults: list[Callable[[dict], Reply | None] | None] | None = None,
        context: int = 0,
        listed: Reply | None = None,
    ) -> None:
        self.llms = {server.name_model(llm): llm for llm in llms.values()}
        self.faults, self.context, self.listed = faults or [], context, listed
        self.bodies, self._lock = [], threading.Lock()

    def __enter__(self) -> "Vllm":
        own = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer(own.get(self.path))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.answer(own.post(body))

            def answer(self, reply: Reply) -> None:
                data = json.dumps(reply[1]).encode()
                self.send_response(reply[0])
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def get(self, path: str) -> Reply:
        if path == "/version":
            return 200, {"version": "0.0.1"}
        cards = [{"id": name, "max_model_len": self.context or None} for name in self.llms]
        return self.listed or (200, {"object": "list", "data": cards})

    def post(self, body: dict[str, Any]) -> Reply:
        with self._lock:
            self.bodies.append(body)
            fault = self.faults.pop(0) if self.faults else None
        if fault and (reply := fault(body)):
            return reply
        with self._lock:  # an LLM has one adapter at a time
            return 200, {"choices": [self.complete(body)]}

    def complete(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the choice, generated as vLLM's documentation says of each field."""
        llm = self.llms[body["model"]]
        assert body["ignore_eos"]
        assert body["stop_token_ids"] == [llm.tokenizer.eos_token_id]
        decoding = models.Decoding(
            body["max_tokens"],
            body["temperature"],
            body["top_p"],
            max(0, body["top_k"]),
            body["repetition_penalty"],
        )
        work = models.generate_tokens(
            llm, [body["prompt"]], decoding, token_budget=1, seeds=[body["seed"]]
        )
        _, tokens, ended = next(work)
        return {
            "token_ids": tokens,
            "prompt_token_ids": body["prompt"],
            "finish_reason": "stop" if ended else "length",
        }
