"""An engine that answers badly, each of its models in a way of its own."""

import asyncio
import json
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response, StreamingResponse

DOCUMENT = {"kind": "receipt", "total": 3}
ESCAPED = json.dumps(DOCUMENT | {"kind": "收据"}, indent=3).replace("r", "\\u0072")


def chunk(text: str = "", finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": finish}
    return event({"object": "chat.completion.chunk", "choices": [choice]})


def event(content: object) -> bytes:
    return f"data: {json.dumps(content)}\n\n".encode()


def whole(text: str, finish: str = "stop") -> list[bytes]:
    """A good stream, four characters at a time."""
    parts = [chunk(text[at : at + 4]) for at in range(0, len(text), 4)]
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    return [*parts, chunk(finish=finish), event({"choices": [], "usage": usage}), b"data: [DONE]\n\n"]


STREAMS = {
    "good": whole("Good day."),
    "valid": whole(ESCAPED),
    "lengthy": whole('{"kind": "receipt", "tot', "length"),
    "fenced": whole(f"```json\n{json.dumps(DOCUMENT)}\n```"),
    "other schema": whole('{"kind": "cat", "total": 3}'),
    "early": whole('{"kind": "receipt"'),
    "infinite": whole('{"kind": "receipt", "total": 1e999}'),
    "twice": whole('{"kind": "receipt", "total": 3, "\\u0074otal": "x"}'),
    "filtered": whole("Good", "content_filter"),
    "no end": [chunk("Good"), b"data: [DONE]\n\n"],
    "no done": [chunk("Good", "stop")],
    "no json": [b"data: {\n\n"],
    "brackets": [b"data: " + b"[" * 100_000 + b"\n\n"],
    "no object": [event([1, 2])],
    "no text": [event({"choices": [{"delta": {"content": 3}}]})],
    "surrogate": [b'data: {"choices": [{"delta": {"content": "\\ud800"}}]}\n\n'],
    "error": [chunk("Good"), event({"error": {"message": "/secret/path", "code": 500}})],
    "page": [b"<html>", b"Good day</html>"],
    "nothing": [],
    "huge": [b"data: " + b"x" * (1 << 18)] * 6,
}


def hostile_engine() -> FastAPI:
    app = FastAPI()
    others = ["cut", "slow", "endless", "broken", "busy", "refusing", "no key", "redirecting"]

    @app.get("/v1/models")
    async def models() -> dict:
        return {"object": "list", "data": [{"id": name} for name in (*STREAMS, *others)]}

    @app.post("/v1/chat/completions")
    async def answer(request: Request) -> Response:
        asked = await request.json()
        app.state.asked = asked
        match asked["model"]:
            case "broken":
                return Response("Traceback: /secret/path", 500)
            case "busy":
                return JSONResponse({"error": {"message": "later"}}, 429, {"Retry-After": "7"})
            case "refusing":
                return JSONResponse({"error": {"message": "the context has 2048 tokens"}}, 400)
            case "no key":
                return JSONResponse({"error": {"message": "who are you"}}, 401)
            case "redirecting":
                return RedirectResponse("http://127.0.0.1:9/")
            case "cut" | "slow" | "endless" as name:
                return StreamingResponse(running(name), media_type="text/event-stream")
            case name:
                return StreamingResponse(iterated(STREAMS[name]), media_type="text/event-stream")

    return app


async def iterated(parts: list[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def running(name: str) -> AsyncIterator[bytes]:
    yield chunk("Good")
    if name == "cut":
        raise ConnectionResetError  # uvicorn breaks the connection off
    while True:
        await asyncio.sleep(0.05 if name == "slow" else 0)
        yield b": still here\n\n" if name == "slow" else chunk("day " * 100)
