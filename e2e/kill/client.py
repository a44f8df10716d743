"""One of the two clients of the kill test: Python with `websockets`. The other, client.mjs, does the same steps.

Settles (registers, makes or joins the room), says `ready`, and waits on standard input for `{"go": true}`. Then
it sends its messages, a few at a time, through every loss of the connection, and waits for `{"until": N}`, the
last entry that it has to see. On standard output it tells `ready`, `connected` (with the server's time), `acked` (a
running count), `violation`, `end`. Every entry that it is shown goes to the file VIEW and every ack to ACKS, in the order in which they came.
"""

import argparse
import asyncio
import json
import random
import sys
import time
import urllib.error
import urllib.request

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

ENTRIES = ("new_message", "room_updated", "user_joined", "user_left")
# What tells no entry of a log, and comes as it likes.
SIGNALS = ("presence", "unread", "read_receipt", "user_typing", "user_stopped_typing")
# A connection that is refused, or cut while it opens or later, or a server that dies over an answer.
CUT = (OSError, EOFError, ValueError, WebSocketException)
# Never through a proxy.
HTTP = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def say(**what):
    print(json.dumps(what), flush=True)


class Client:
    def __init__(self, options):
        self.options = options
        self.random = random.Random(options.seed)
        self.room = options.room
        self.me = self.epoch = self.access = self.refresh_token = None
        self.expires_at = 0.0
        self.cursor, self.until = 0, None
        self.live_connection = False
        # Numbers of messages: what to send next for the first time, what was sent and is not acked, and what of
        # that has to be sent again on this connection; all in order.
        self.next, self.unacked, self.to_repeat = 1, [], []
        self.acked = self.resent = self.duplicates = self.connections = self.refreshes = self.violations = 0
        self.view, self.acks = open(options.view, "w"), open(options.acks, "w")

    def violation(self, text):
        self.violations += 1
        say(violation=f"{self.options.name}: {text}")

    async def post(self, path, body):
        """The answer to a request, repeated until there is one: the server may be down at any moment."""
        url = f"http://127.0.0.1:{self.options.port}/api{path}"
        for attempt in range(1_000):
            request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
            try:
                with await asyncio.to_thread(HTTP.open, request, timeout=10) as response:
                    return json.load(response)
            except urllib.error.HTTPError as error:
                raise SystemExit(f"{path}: {error.code} {error.read().decode(errors='replace')}")
            except CUT:
                await self.back_off(attempt)
        raise SystemExit(f"{path}: no answer")

    async def back_off(self, attempt):
        longest = min(0.5, 0.02 * 2 ** min(attempt, 8))
        await asyncio.sleep(longest * (0.5 + self.random.random() / 2))

    def adopt(self, tokens):
        self.access, self.refresh_token = tokens["accessToken"], tokens["refreshToken"]
        self.expires_at = time.time() + 14 * 60

    async def renew(self):
        """Before the token runs out, and now and then without need, so that rotation meets a dying server too."""
        if time.time() > self.expires_at or self.random.random() < 0.25:
            self.adopt(await self.post("/auth/refresh", {"refreshToken": self.refresh_token}))
            self.refreshes += 1

    async def open(self):
        url = f"ws://127.0.0.1:{self.options.port}/ws"
        return await connect(url, compression=None, max_size=1 << 20, open_timeout=5, close_timeout=2, proxy=None)

    async def settle(self):
        """Registers and makes or joins the room. Nobody kills the server yet."""
        name = self.options.name
        account = {"email": f"{name}@example.org", "username": name, "password": f"the long password of {name}"}
        answer = await self.post("/auth/register", account)
        self.adopt(answer)
        self.me = answer["user"]["id"]
        async with await self.open() as socket:
            hello = await ask(socket, type="authenticate", token=self.access, subscribe="none")
            assert hello["type"] == "authenticated" and hello["userId"] == self.me, hello
            self.epoch = hello["epoch"]
            if self.room is None:
                answer = await ask(socket, type="create_room", name="The kill test")
            else:
                answer = await ask(socket, type="join_room", roomId=self.room)
            assert answer["type"] == "ack", answer
            self.room = answer["room"]["id"]

    async def live(self):
        """Connects and resumes, again and again, until everything is acked and seen."""
        attempt = 0
        while not self.finished():
            self.live_connection = False
            try:
                await self.renew()
                async with await self.open() as socket:
                    await socket.send(self.hello())
                    while not self.finished():
                        self.handle(json.loads(await socket.recv()))
                        attempt = 0
                        for frame in self.due():
                            await socket.send(frame)
            except InvalidStatus as error:
                raise SystemExit(f"the upgrade was refused: {error}")
            except CUT as error:
                if isinstance(error, ConnectionClosed) and error.rcvd:
                    self.violation(f"the server closed the connection: {error.rcvd}")
                await self.back_off(attempt)
                attempt += 1

    def hello(self):
        resume = [{"roomId": self.room, "after": self.cursor}]
        frame = {"type": "authenticate", "id": "hello", "token": self.access, "epoch": self.epoch, "resume": resume}
        return json.dumps(frame)

    def handle(self, frame):
        kind = frame["type"]
        if kind in ENTRIES:
            self.entry(kind, frame)
        elif kind == "ack":
            self.ack(frame)
        elif kind == "authenticated":
            if frame["epoch"] != self.epoch:
                self.violation(f"the epoch changed from {self.epoch} to {frame['epoch']}")
            self.connections += 1
            say(connected=frame["serverTime"])
            self.live_connection = True
            self.to_repeat = list(self.unacked)
            self.resent += len(self.to_repeat)
        elif kind == "caught_up":
            if frame["roomId"] == self.room and frame["seq"] > self.cursor:
                self.violation(f"caught up to {frame['seq']}, yet shown only {self.cursor}")
        elif kind not in SIGNALS:
            self.violation(f"unexpected frame {json.dumps(frame)[:300]}")

    def entry(self, kind, frame):
        body = frame["message"] if kind == "new_message" else frame
        room = body["roomId"]
        if room != self.room:
            return
        seq = body["seq"]
        if seq != self.cursor + 1:
            self.violation(f"entry {seq} came after {self.cursor}")
        self.cursor = seq
        row = {"seq": seq, "type": kind}
        if kind == "new_message":
            row |= {"id": body["id"], "userId": body["userId"], "content": body["content"]}
            if (body.get("clientMessageId") is not None) != (body["userId"] == self.me):
                self.violation(f"the clientMessageId of entry {seq} was shown to a stranger or hidden from its author")
        print(json.dumps(row), file=self.view)

    def ack(self, frame):
        number = frame["id"]
        if number not in self.unacked:
            self.violation(f"an ack that nobody waits for: {json.dumps(frame)}")
            return
        self.unacked.remove(number)
        self.acked += 1
        self.duplicates += frame["duplicate"]
        row = {"content": self.text(number), "seq": frame["seq"], "id": frame["messageId"]}
        print(json.dumps(row), file=self.acks)
        say(acked=self.acked)

    def due(self):
        """What to send now: first what a lost connection left unacked, in its order, then what is new."""
        if not self.live_connection:
            return
        repeat, self.to_repeat = self.to_repeat, []
        for number in repeat:
            yield self.frame(number)
        width = self.random.randint(1, 8)
        while len(self.unacked) < width and self.next <= self.options.messages:
            self.unacked.append(self.next)
            self.next += 1
            yield self.frame(self.unacked[-1])

    def text(self, number):
        return f"{self.options.name} {number}"

    def frame(self, number):
        key = f"{self.options.name}-{number}"
        command = {"type": "send_message", "id": number, "roomId": self.room, "clientMessageId": key}
        return json.dumps(command | {"content": self.text(number)})

    def finished(self):
        return self.until is not None and self.cursor >= self.until and not self.unacked

    async def run(self):
        await self.settle()
        orders = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
        say(ready=True, roomId=self.room, userId=self.me)
        assert json.loads(await orders.readline())["go"]
        living = asyncio.create_task(self.live())
        ordered = asyncio.create_task(orders.readline())
        await asyncio.wait({living, ordered}, return_when=asyncio.FIRST_COMPLETED)
        if not living.done():
            self.until = json.loads(ordered.result())["until"]
            if self.finished():
                living.cancel()
        await asyncio.wait({living})
        if not living.cancelled():
            living.result()
        self.view.close()
        self.acks.close()
        counted = ("acked", "resent", "duplicates", "connections", "refreshes", "violations")
        say(end={"sent": self.next - 1} | {name: getattr(self, name) for name in counted})


async def ask(socket, **frame):
    """Sends a command and waits for its answer, past all else."""
    await socket.send(json.dumps({**frame, "id": "ask"}))
    while True:
        answer = json.loads(await socket.recv())
        if answer.get("id") == "ask":
            return answer


def main():
    parser = argparse.ArgumentParser()
    for name, kind in {"name": str, "port": int, "seed": int, "messages": int, "view": str, "acks": str}.items():
        parser.add_argument(f"--{name}", type=kind, required=True)
    parser.add_argument("--room")
    asyncio.run(Client(parser.parse_args()).run())


if __name__ == "__main__":
    main()
