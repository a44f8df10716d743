"""What bad input gets: a table of things that no client should send, each with the answer that docs/protocol.md
promises, over real sockets with `websockets`. After each of them the connection, where it is to stay open, and the
server have to work as before, and nothing may be stored.

Prints one JSON object a row: `case`, `holds`, `detail`. Exits with 1 when a row does not hold.
"""

import argparse
import asyncio
import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import sys
import time

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--secret", required=True)
OPTIONS = parser.parse_args()
URL = f"ws://127.0.0.1:{OPTIONS.port}/ws"
FAILED = []
# Longer than anything but the 10 s that the server waits for `authenticate`.
PATIENCE = 20


def row(case, expected, got):
    holds = expected == got
    detail = "" if holds else f"expected {expected!r}, got {got!r}"
    print(json.dumps({"case": case, "holds": holds, "detail": detail}), flush=True)
    if not holds:
        FAILED.append(case)


# Tokens of somebody else's issuer.


def part(value):
    return base64.urlsafe_b64encode(value if isinstance(value, bytes) else json.dumps(value).encode()).rstrip(b"=")


def token(user, *, seconds=600, algorithm="HS256", secret=OPTIONS.secret, **claims):
    standard = {"iss": "https://issuer.example", "aud": "chat", "sub": user, "name": user, "exp": int(time.time()) + seconds}
    signed = part({"alg": algorithm, "typ": "JWT"}) + b"." + part(standard | claims)
    mac = b"" if algorithm == "none" else hmac.digest(secret.encode(), signed, hashlib.sha256)
    return (signed + b"." + part(mac)).decode()


# Sockets.


def open_socket(**arguments):
    return connect(URL, compression=None, max_size=1 << 20, proxy=None, open_timeout=PATIENCE, **arguments)


async def send(socket, frame):
    await socket.send(frame if isinstance(frame, (str, bytes)) else json.dumps(frame))


async def receive(socket):
    return json.loads(await asyncio.wait_for(socket.recv(), PATIENCE))


async def ask(socket, **frame):
    """Sends a command and waits for its answer, past all events."""
    await send(socket, {**frame, "id": "ask"})
    while True:
        answer = await receive(socket)
        if answer.get("id") == "ask":
            return answer


@contextlib.asynccontextmanager
async def session(user):
    async with open_socket() as socket:
        hello = await ask(socket, type="authenticate", token=token(user), subscribe="none")
        assert hello["type"] == "authenticated", hello
        yield socket


async def closing(socket):
    """All frames until the server closes, and the code with which it does."""
    frames = []
    try:
        while True:
            frames.append(await receive(socket))
    except ConnectionClosed as closed:
        return frames, closed.rcvd and closed.rcvd.code
    except TimeoutError:
        return frames, "still open"


async def refused(**arguments):
    """The HTTP status of an upgrade; 101 when there is none."""
    try:
        async with open_socket(**arguments):
            return 101
    except InvalidStatus as error:
        return error.response.status_code


# HTTP.


def request(method, path, body=None, bearer=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", OPTIONS.port, timeout=PATIENCE)
    if bearer:
        headers["Authorization"] = f"Bearer {bearer}"
    if body is not None:
        headers["Content-Type"] = "application/json"
        body = body if isinstance(body, str) else json.dumps(body)
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    text = response.read()
    connection.close()
    parsed = None
    with contextlib.suppress(ValueError):
        parsed = json.loads(text)
    return response.status, response.getheader("Content-Type"), parsed


def problem(case, status, code, *arguments, **named):
    got_status, kind, body = request(*arguments, **named)
    body = body if isinstance(body, dict) else {}
    row(f"HTTP: {case}", (status, "application/problem+json", code), (got_status, kind, body.get("code")))


# The table.


async def commands(rooms):
    """Commands that get an error on a connection that stays open."""
    send_to = {"type": "send_message", "roomId": rooms["open"], "content": "x"}
    private, foreign, unknown = rooms["private"], rooms["foreign"], "no-such-room"
    long_id = {"type": "ping", "id": "x" * 65}
    table = [
        ("an unknown type", {"type": "dance", "id": 1}, "unknown_type", 1),
        ("a command of a later version", {"type": "search_messages", "id": 1, "roomId": "r"}, "unknown_type", 1),
        ("broken JSON", '{"type":"ping","id":1', "bad_request", None),
        ("no JSON at all", "hello", "bad_request", None),
        ("an empty frame", "", "bad_request", None),
        ("an array", "[]", "bad_request", None),
        ("a binary frame", b"\x00\x01", "bad_request", None),
        ("no type", {"id": 1, "roomId": "r"}, "bad_request", ...),
        ("a type that is no string", {"type": 7, "id": 1}, "bad_request", ...),
        ("an id of 65 characters", long_id, "bad_request", None),
        ("an id that is no integer", {"type": "ping", "id": 1.5}, "bad_request", None),
        ("JSON nested 10,000 deep", '{"type":"ping","x":' + "[" * 10_000, "bad_request", None),
        ("a room id that is a number", send_to | {"id": 1, "roomId": 5}, "bad_request", 1),
        ("a content that is an object", send_to | {"id": 1, "content": {}}, "bad_request", 1),
        ("no content", {"type": "send_message", "id": 1, "roomId": rooms["open"]}, "bad_request", 1),
        ("a limit that is a word", {"type": "fetch_history", "id": 1, "roomId": rooms["open"], "limit": "all"}, "bad_request", 1),
        ("a seq below zero", {"type": "fetch_history", "id": 1, "roomId": rooms["open"], "after": -1}, "bad_request", 1),
        ("an empty text", send_to | {"id": 1, "content": ""}, "bad_request", 1),
        ("white space alone", send_to | {"id": 1, "content": " \n\t\u00a0"}, "bad_request", 1),
        ("a text of 5,001 characters", send_to | {"id": 1, "content": "ü" * 5001}, "bad_request", 1),
        ("a control character", send_to | {"id": 1, "content": "a\u0000b"}, "bad_request", 1),
        ("a clientMessageId of 65 characters", send_to | {"id": 1, "clientMessageId": "x" * 65}, "bad_request", 1),
        ("a room name of 101 characters", {"type": "create_room", "id": 1, "name": "x" * 101}, "bad_request", 1),
        ("a room name of white space", {"type": "create_room", "id": 1, "name": " "}, "bad_request", 1),
        ("a second room of one name", {"type": "create_room", "id": 1, "name": rooms["open name"]}, "conflict", 1),
        ("the same name in capitals", {"type": "create_room", "id": 1, "name": rooms["open name"].upper()}, "conflict", 1),
        ("sending to an unknown room", send_to | {"id": 1, "roomId": unknown}, "not_found", 1),
        ("joining an unknown room", {"type": "join_room", "id": 1, "roomId": unknown}, "not_found", 1),
        ("sending to somebody else's private room", send_to | {"id": 1, "roomId": private}, "not_found", 1),
        ("joining somebody else's private room", {"type": "join_room", "id": 1, "roomId": private}, "not_found", 1),
        ("leaving somebody else's private room", {"type": "leave_room", "id": 1, "roomId": private}, "not_found", 1),
        ("the history of a private room", {"type": "fetch_history", "id": 1, "roomId": private}, "not_found", 1),
        ("the members of a private room", {"type": "list_members", "id": 1, "roomId": private}, "not_found", 1),
        ("subscribing to a private room", {"type": "subscribe", "id": 1, "roomId": private}, "not_found", 1),
        ("sending to a room not joined", send_to | {"id": 1, "roomId": foreign}, "forbidden", 1),
        ("the history of a room not joined", {"type": "fetch_history", "id": 1, "roomId": foreign}, "forbidden", 1),
        ("subscribing to a room not joined", {"type": "subscribe", "id": 1, "roomId": foreign}, "forbidden", 1),
    ]
    # Fewer on one connection than the twenty bad frames a minute that close it.
    for first in range(0, len(table), 12):
        async with session("mallory") as socket:
            for case, frame, code, id in table[first : first + 12]:
                await send(socket, frame)
                answer = await receive(socket)
                wanted = answer.get("id") if id is ... else id
                row(case, ("error", code, wanted), (answer["type"], answer.get("code"), answer.get("id")))
            row("the connection works as before", "pong", (await ask(socket, type="ping"))["type"])


async def closings():
    """What closes a connection, and with which code."""

    async def first_frame(frame):
        async with open_socket() as socket:
            await send(socket, frame)
            frames, code = await closing(socket)
            return [(f["type"], f["code"]) for f in frames], code

    def authenticate(token):
        return {"type": "authenticate", "id": 1, "token": token}

    for case, bad, code in [
        ("a token that is none", "a.b.c", "invalid_token"),
        ("a token of another secret", token("eve", secret="another secret, as long as a secret"), "invalid_token"),
        ("a token of alg none", token("eve", algorithm="none"), "invalid_token"),
        ("a token of another issuer", token("eve", iss="https://elsewhere.example"), "invalid_token"),
        ("a token for another audience", token("eve", aud="mail"), "invalid_token"),
        ("a token for an unusable id", token("not an id"), "invalid_token"),
        ("an expired token", token("eve", seconds=-1), "token_expired"),
    ]:
        row(case, ([("auth_error", code)], 4401), await first_frame(authenticate(bad)))

    async with open_socket() as socket:
        await send(socket, {"type": "list_rooms", "id": 1})
        answer = await receive(socket)
        row("a command before authenticate", ("error", "unauthenticated", 1), (answer["type"], answer.get("code"), answer.get("id")))

    async with session("mallory") as socket:
        await send(socket, json.dumps({"type": "ping", "x": "y" * 70 * 1024}))
        row("a frame of 70 KiB", ([], 1009), await closing(socket))

    async with session("mallory") as socket:
        for _ in range(20):
            await send(socket, "{")
        frames, code = await closing(socket)
        row("the twentieth bad frame in a minute", ({"bad_request"}, 4400), ({f["code"] for f in frames}, code))

    async with session("mallory") as socket:
        with contextlib.suppress(ConnectionClosed):
            for number in range(1_000):
                await send(socket, {"type": "ping", "id": number})
        frames, code = await closing(socket)
        row("a flood of commands", ({"pong", "rate_limited"}, 4429), ({f.get("code", f["type"]) for f in frames}, code))

    # The token runs out on the open connection.
    async with open_socket() as socket:
        hello = await ask(socket, type="authenticate", token=token("mallory", seconds=2))
        row("a token of two seconds is good", "authenticated", hello["type"])
        row("and closes the connection when it has run out", 4401, (await closing(socket))[1])

    row("a foreign origin", 403, await refused(origin="https://elsewhere.example"))
    row("the server's own origin", 101, await refused(origin=f"http://127.0.0.1:{OPTIONS.port}"))
    row("a bad token on the upgrade", 401, await refused(additional_headers={"Authorization": "Bearer a.b.c"}))


async def silence():
    async with open_socket() as socket:
        begun = time.monotonic()
        frames, code = await closing(socket)
        waited = time.monotonic() - begun
        row("no authentication in 10 s", (4408, True), (code, 9 < waited < 18))


async def good_manners(rooms):
    """The ways that look alike and are fine."""
    header = {"Authorization": f"Bearer {token('mallory')}"}
    async with open_socket(additional_headers=header) as socket:
        row("a token on the upgrade", "authenticated", (await ask(socket, type="authenticate"))["type"])
    async with open_socket(subprotocols=["chat.v1", f"bearer.{token('mallory')}"]) as socket:
        row("a token as subprotocol shows in no answer", "chat.v1", socket.subprotocol)
        row("a token as subprotocol", "authenticated", (await ask(socket, type="authenticate"))["type"])
    async with session("mallory") as socket:
        send_to = {"type": "send_message", "roomId": rooms["open"]}
        answer = await ask(socket, **send_to, content="ü" * 5000, later={"unknown": "field"})
        row("a text of 5,000 characters", "ack", answer["type"])
        first = await ask(socket, **send_to, content="once", clientMessageId="k")
        again = await ask(socket, **send_to, content="twice", clientMessageId="k")
        row("a repeated key gets the first answer", first | {"duplicate": True}, again)
        resume = [{"roomId": rooms["private"], "after": 0}, {"roomId": "no-such-room", "after": 0}]
        async with open_socket() as other:
            await send(other, {"type": "authenticate", "id": 1, "token": token("mallory"), "resume": resume, "subscribe": "none"})
            answers = [await receive(other) for _ in range(3)]
            told = sorted((a["type"], a.get("roomId", ""), a.get("code", "")) for a in answers)
            failed = [("resume_failed", room, "not_found") for room in sorted([rooms["private"], "no-such-room"])]
            row("resuming rooms that are not open to one", [("authenticated", "", ""), *failed], told)


async def bursts(rooms):
    async with session("trudy") as socket:
        await ask(socket, type="join_room", roomId=rooms["open"])
        for number in range(23):
            await send(socket, {"type": "send_message", "id": number, "roomId": rooms["open"], "content": "x"})
        answers = {}
        while len(answers) < 23:
            answer = await receive(socket)
            answers |= {answer["id"]: answer} if "id" in answer else {}
        limited = [a for a in answers.values() if a.get("code") == "rate_limited"]
        row("more messages than the burst", (True, True), (0 < len(limited) <= 3, all(a["retryAfterMs"] > 0 for a in limited)))


def over_http(rooms):
    good, room = token("mallory"), rooms["open"]
    messages = f"/api/rooms/{room}/messages"
    problem("no token", 401, "unauthenticated", "GET", "/api/rooms")
    problem("a token that is none", 401, "invalid_token", "GET", "/api/rooms", bearer="a.b.c")
    problem("a token of alg none", 401, "invalid_token", "GET", "/api/rooms", bearer=token("eve", algorithm="none"))
    problem("an expired token", 401, "token_expired", "GET", "/api/rooms", bearer=token("eve", seconds=-1))
    problem("broken JSON", 400, "bad_request", "POST", "/api/rooms", "{", bearer=good)
    problem("a name that is a number", 400, "bad_request", "POST", "/api/rooms", {"name": 7}, bearer=good)
    problem("a second room of one name", 409, "conflict", "POST", "/api/rooms", {"name": rooms["open name"]}, bearer=good)
    problem("an empty text", 400, "bad_request", "POST", messages, {"content": ""}, bearer=good)
    problem("a text of 5,001 characters", 400, "bad_request", "POST", messages, {"content": "ü" * 5001}, bearer=good)
    problem("a limit that is a word", 400, "bad_request", "GET", f"{messages}?limit=all", bearer=good)
    problem("an unknown room", 404, "not_found", "GET", "/api/rooms/no-such-room/messages", bearer=good)
    problem("a private room", 404, "not_found", "GET", f"/api/rooms/{rooms['private']}/messages", bearer=good)
    problem("a room not joined", 403, "forbidden", "GET", f"/api/rooms/{rooms['foreign']}/messages", bearer=good)
    problem("an unknown path", 404, "not_found", "GET", "/api/no-such-thing", bearer=good)
    account = {"email": "carol@example.org", "username": "carol", "password": "a long password"}
    problem("a short password", 400, "bad_request", "POST", "/api/auth/register", account | {"password": "short"})
    problem("a username with a space", 400, "bad_request", "POST", "/api/auth/register", account | {"username": "c rol"})
    row("HTTP: a good registration", 201, request("POST", "/api/auth/register", account)[0])
    other = account | {"email": "carol2@example.org", "username": "CAROL"}
    problem("a taken username", 409, "conflict", "POST", "/api/auth/register", other)
    problem("a taken address", 409, "conflict", "POST", "/api/auth/register", account | {"username": "carol2"})
    wrong = request("POST", "/api/auth/login", {"login": "carol", "password": "not the password"})
    nobody = request("POST", "/api/auth/login", {"login": "nobody", "password": "not the password"})
    row("HTTP: a wrong password is 401", 401, wrong[0])
    row("HTTP: an unknown user gets the same words", wrong, nobody)
    problem("a refresh token that is none", 401, "invalid_token", "POST", "/api/auth/refresh", {"refreshToken": "x"})
    row("HTTP: the server says that it is well", 200, request("GET", "/healthz")[0])


async def main():
    async with session("alice") as socket:
        names = {"private": "Alice's own", "foreign": "Nobody but Alice"}
        rooms = {}
        for kind, name in names.items():
            answer = await ask(socket, type="create_room", name=name, private=kind == "private")
            rooms[kind] = answer["room"]["id"]
    async with session("mallory") as socket:
        answer = await ask(socket, type="create_room", name="Open to all")
        rooms |= {"open": answer["room"]["id"], "open name": "Open to all"}

    async def heads():
        async with session("alice") as a, session("mallory") as m:
            asked = [(a, "private"), (a, "foreign"), (m, "open")]
            return [(await ask(s, type="subscribe", roomId=rooms[kind]))["seq"] for s, kind in asked]

    quiet = asyncio.create_task(silence())
    before = await heads()
    await commands(rooms)
    await closings()
    await asyncio.to_thread(over_http, rooms)
    row("nothing of all this was stored", before, await heads())
    await good_manners(rooms)
    await bursts(rooms)
    await quiet
    sys.exit(bool(FAILED))


asyncio.run(main())
