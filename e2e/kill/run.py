#!/usr/bin/env python3
"""Kills the release binary under clients in other languages, and feeds it what no client should send.

It builds the server, installs the two clients into the build folder, and then

* kill: a Python and a Node client exchange messages while the server is killed with SIGKILL again and again, at
  moments drawn from the seed, some of them while it is still starting. They resume by seq and repeat what was not
  acked under the same clientMessageId. At the end both views and the history have to be one and the same log;
* bad input: see bad_input.py.

Needs nothing but Python's standard library, cargo, node and npm. Exits with 1 when any check fails.
"""

import argparse
import collections
import contextlib
import datetime
import json
import os
import pathlib
import queue
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
HTTP = urllib.request.build_opener(urllib.request.ProxyHandler({}))
SECRET = "the secret of somebody else's issuer, in a test"


class Checks:
    """Counts what holds and what does not."""

    def __init__(self):
        self.passed = self.failed = 0

    def check(self, name, holds, detail=""):
        self.passed += bool(holds)
        self.failed += not holds
        print(f"  {'ok  ' if holds else 'FAIL'} {name}{'' if holds or detail == '' else f': {detail}'}", flush=True)


class Server:
    """The server as a child process, started any number of times on one port and one data folder."""

    def __init__(self, binary, folder, **settings):
        self.port = free_port()
        self.folder = folder
        self.log = open(folder / "server.log", "ab")
        self.command = [str(binary), "--listen", f"127.0.0.1:{self.port}", "--data-dir", str(folder / "data")]
        clean = {key: value for key, value in os.environ.items() if not key.startswith("CHAT_")}
        self.environment = clean | {f"CHAT_{key}": str(value) for key, value in settings.items()}
        self.child = None
        self.started = 0.0

    def start(self):
        # To the millisecond, as the server tells times.
        self.started = int(time.time() * 1000) / 1000
        self.child = subprocess.Popen(
            self.command, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log
        )

    def wait_until_ready(self, deadline):
        pause = 0.01
        while self.child.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                return HTTP.open(f"http://127.0.0.1:{self.port}/readyz", timeout=5).status == 200
            time.sleep(pause)
            pause = min(2 * pause, 0.25)
        raise SystemExit(f"the server did not start; exit code {self.child.poll()}, log in {self.folder}")

    def kill(self):
        self.child.kill()
        self.child.wait()

    def terminate(self, seconds=15):
        """Asks it to drain; the exit code, or None when it did not end."""
        self.child.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.child.wait(seconds)

    def alive(self):
        return self.child.poll() is None

    def get(self, path, token):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", headers={"Authorization": f"Bearer {token}"}
        )
        with HTTP.open(request, timeout=20) as response:
            return json.load(response)

    def login(self, name):
        body = json.dumps({"login": name, "password": f"the long password of {name}"}).encode()
        url = f"http://127.0.0.1:{self.port}/api/auth/login"
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with HTTP.open(request, timeout=20) as response:
            return json.load(response)["accessToken"]


class Client:
    """A client as a child process; what it tells goes into one queue for all clients."""

    def __init__(self, name, command, folder, told, seed, messages, port, room=None):
        self.name = name
        self.view, self.acks = folder / f"{name}.view", folder / f"{name}.acks"
        options = {"name": name, "port": port, "seed": seed, "messages": messages, "view": self.view, "acks": self.acks}
        if room:
            options["room"] = room
        self.child = subprocess.Popen(
            [*map(str, command), *(f"--{key}={value}" for key, value in options.items())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=open(folder / f"{name}.log", "wb"),
            text=True,
        )
        threading.Thread(target=self.listen, args=(told,), daemon=True).start()

    def listen(self, told):
        for line in self.child.stdout:
            told.put((self.name, json.loads(line)))
        told.put((self.name, {"gone": self.child.wait()}))

    def order(self, **what):
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(what), file=self.child.stdin, flush=True)


def kill_scenario(binary, python, node, folder, options, deadline, checks):
    begun = time.monotonic()
    chance = random.Random(options.seed)
    no_limits = ("MESSAGES_PER_MINUTE", "COMMANDS_PER_SECOND", "REGISTRATIONS_PER_HOUR", "LOGINS_PER_HOUR")
    # A client that is away while the other one sends everything is to get it all by replay.
    limits = {limit: 0 for limit in no_limits} | {"RESUME_ENTRIES": 100_000}
    server = Server(binary, folder, **{f"LIMITS__{limit}": value for limit, value in limits.items()})
    told = queue.Queue()
    clients = []
    with contextlib.ExitStack() as cleaning:
        cleaning.callback(lambda: [child.kill() for child in [server.child, *(c.child for c in clients)]])
        server.start()
        server.wait_until_ready(deadline)
        room = None
        for name, command in {"python": [python, HERE / "client.py"], "node": ["node", node / "client.mjs"]}.items():
            seed = chance.randrange(2**31)
            clients.append(Client(name, command, folder, told, seed, options.messages, server.port, room))
            room = await_from(told, "ready", server, deadline)["roomId"]

        total = 2 * options.messages
        acked, ends, violations = collections.Counter(), {}, []
        kills = starting_kills = 0
        ordered = False
        next_kill = 1 + chance.randrange(max(1, total // (options.kills + 1)))
        # Acks that each client got from the server that is running now.
        since_start, started = collections.Counter(), 0.0
        for client in clients:
            client.order(go=True)
        while len(ends) < len(clients):
            name, what = take(told, server, deadline)
            if "acked" in what:
                acked[name] = what["acked"]
                if name in since_start:
                    since_start[name] += 1
            elif "connected" in what:
                if datetime.datetime.fromisoformat(what["connected"]).timestamp() >= started:
                    since_start[name] = 0
            elif "violation" in what:
                violations.append(what["violation"])
            elif "end" in what:
                ends[name] = what["end"]
            elif "gone" in what and name not in ends:
                raise SystemExit(f"the {name} client ended with {what['gone']}: see {folder / name}.log")
            done = acked.total()
            # Both clients are at it again, unless one has ended or the messages would not last for all kills.
            both = all(since_start[c.name] > 0 or acked[c.name] == options.messages for c in clients)
            both = both or total - done < 10 * (options.kills - kills)
            if kills < options.kills and done >= next_kill and both:
                # A few messages further on, wherever the server then is with them.
                time.sleep(chance.uniform(0, 0.01))
                server.kill()
                kills += 1
                server.start()
                if chance.random() < 0.25:
                    time.sleep(chance.uniform(0, 0.08))
                    server.kill()
                    starting_kills += 1
                    server.start()
                since_start.clear()
                started = server.started
                next_kill = done + 1 + chance.randrange(max(1, (total - done) // (options.kills - kills + 1)))
            if done == total and not ordered:
                ordered = True
                server.wait_until_ready(deadline)
                token = server.login("python")
                head = server.get(f"/api/rooms/{room}/messages?limit=1", token)["messages"][-1]["seq"]
                for client in clients:
                    client.order(until=head)

        views = {client.name: lines(client.view) for client in clients}
        history = pages(server, room, token, forward=True)
        backward = pages(server, room, token, forward=False)
        [listed] = [item for item in server.get("/api/rooms?scope=mine", token)["items"] if item["id"] == room]
        server.kill()
        server.start()
        server.wait_until_ready(deadline)
        after_kill = pages(server, room, token, forward=True)
        exit_code = server.terminate()

    acks = [ack for client in clients for ack in lines(client.acks)]
    messages = [row for row in views["python"] if row["type"] == "new_message"]
    wanted = [f"{client.name} {number}" for client in clients for number in range(1, options.messages + 1)]
    by_seq = {row["seq"]: row for row in history}
    lost = [ack for ack in acks if key(by_seq.get(ack["seq"])) != (ack["id"], ack["content"])]
    times_stored = collections.Counter(row["content"] for row in history)
    doubled = [text for text, times in times_stored.items() if times > 1]
    missing = [text for text in wanted if text not in times_stored]
    dense = list(range(1, head + 1))
    mismatches = sum(a != b for a, b in zip(views["python"], views["node"]))
    mismatches += abs(len(views["python"]) - len(views["node"]))
    sums = collections.Counter()
    for end in ends.values():
        sums.update(end)

    checks.check(f"the server was killed {options.kills} times", kills == options.kills, kills)
    checks.check("every message was acked", sums["sent"] == sums["acked"] == len(acks) == total, dict(sums))
    checks.check("the clients saw no rule of the protocol broken", not violations, violations[:5])
    for name, view in views.items():
        checks.check(f"the {name} client saw the entries 1 to {head}, each once, in order", [r["seq"] for r in view] == dense)
    checks.check("both clients saw the same entries", mismatches == 0, f"{mismatches} differ")
    kinds = [row["type"] for row in views["python"] if row["type"] != "new_message"]
    checks.check("the other entries are the room and its two members", kinds == ["room_updated", "user_joined", "user_joined"], kinds)
    checks.check("the history is what the clients saw", [plain(row) for row in history] == [plain(row) for row in messages])
    checks.check("the history is the same backwards", backward == history)
    checks.check("every acked message stands where its ack says", not lost, lost[:3])
    checks.check("no message is missing", not missing, missing[:5])
    checks.check("no message stands twice", not doubled, doubled[:5])
    for name in views:
        numbers = [int(row["content"].split()[1]) for row in history if row["content"].startswith(f"{name} ")]
        checks.check(f"the {name} client's messages stand in the order sent", numbers == sorted(numbers))
    checks.check("the room's lastSeq is the last entry", listed["lastSeq"] == head, listed["lastSeq"])
    checks.check("one more SIGKILL changes nothing", after_kill == history)
    checks.check("SIGTERM ends the server with 0", exit_code == 0, exit_code)
    print(
        f"  sent {sums['sent']}, acked {sums['acked']}, resent {sums['resent']}, duplicates answered {sums['duplicates']},"
        f" kills {kills} and {starting_kills} while starting, connections {sums['connections']},"
        f" tokens refreshed {sums['refreshes']}, seqs 1..{head}, messages {len(history)}, lost {len(lost) + len(missing)},"
        f" doubled {len(doubled)}, mismatches {mismatches}, {time.monotonic() - begun:.1f} s"
    )


def key(row):
    return row and (row["id"], row["content"])


def plain(row):
    return row["seq"], row["id"], row["userId"], row["content"]


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def pages(server, room, token, forward):
    """The whole history, page by page."""
    messages, place = [], "after=0" if forward else ""
    while True:
        page = server.get(f"/api/rooms/{room}/messages?limit=200&{place}", token)
        new = page["messages"]
        messages = messages + new if forward else new + messages
        if not page["hasMoreAfter" if forward else "hasMoreBefore"]:
            return messages
        place = f"after={new[-1]['seq']}" if forward else f"before={new[0]['seq']}"


def bad_input_scenario(binary, python, folder, options, deadline, checks):
    external = {"ISSUER": "https://issuer.example", "AUDIENCE": "chat", "HS256_SECRET": SECRET}
    limits = {"MESSAGE_BURST": 20, "REGISTRATIONS_PER_HOUR": 0, "LOGINS_PER_HOUR": 0}
    settings = {f"AUTH__EXTERNAL__{name}": value for name, value in external.items()}
    settings |= {f"LIMITS__{name}": value for name, value in limits.items()}
    server = Server(binary, folder, **settings)
    server.start()
    with contextlib.ExitStack() as cleaning:
        cleaning.callback(lambda: server.child.kill())
        server.wait_until_ready(deadline)
        command = [str(python), str(HERE / "bad_input.py"), "--port", str(server.port), "--secret", SECRET]
        with open(folder / "bad_input.log", "wb") as log:
            table = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, timeout=deadline - time.monotonic()
            )
        for line in table.stdout.splitlines():
            row = json.loads(line)
            checks.check(row["case"], row["holds"], row["detail"])
        checks.check("the table ran to its end", table.returncode == 0, f"{table.returncode}: see {folder}/bad_input.log")
        checks.check("the server is alive after all that", server.alive())
        checks.check("SIGTERM ends it with 0", server.terminate() == 0)


def take(told, server, deadline):
    """What a client tells next; an error when it can't any more because the server ended by itself."""
    while time.monotonic() < deadline:
        with contextlib.suppress(queue.Empty):
            return told.get(timeout=1)
        if not server.alive():
            raise SystemExit(f"the server ended by itself with {server.child.poll()}: see {server.folder}/server.log")
    raise SystemExit("the deadline has passed")


def await_from(told, word, server, deadline):
    while True:
        name, what = take(told, server, deadline)
        if word in what:
            return what
        if "gone" in what:
            raise SystemExit(f"the {name} client ended with {what['gone']} before it was {word}")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def build():
    """Builds the server; its path, and the folder for what is installed here."""
    command = ["cargo", "metadata", "--locked", "--no-deps", "--format-version", "1"]
    target = pathlib.Path(json.loads(subprocess.check_output(command, cwd=ROOT))["target_directory"])
    subprocess.run(["cargo", "build", "--locked", "--release", "-p", "chat-server"], cwd=ROOT, check=True)
    return target / "release" / "chat-server", target / "e2e"


def install(folder):
    """The clients' libraries, in the versions that are named beside this file."""
    wanted = "".join((HERE / name).read_text() for name in ("requirements.txt", "package-lock.json"))
    venv, node, stamp = folder / "venv", folder / "node", folder / "installed"
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        node.mkdir(parents=True)
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        pip = [venv / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--requirement", HERE / "requirements.txt"], check=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, node)
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=node, check=True)
        stamp.write_text(wanted)
    shutil.copy(HERE / "client.mjs", node)
    return venv / "bin" / "python", node


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=None, help="repeats the kills of another run")
    parser.add_argument("--messages", type=int, default=1_000, help="how many each client sends")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seconds", type=int, default=180, help="longest time for both scenarios, without building")
    parser.add_argument("--server", type=pathlib.Path, help="a binary to test instead of building one")
    parser.add_argument("--only", choices=["kill", "bad-input"])
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(2**31)
    binary, folder = build() if options.server is None else (options.server, pathlib.Path(tempfile.gettempdir()) / "chat-e2e")
    python, node = install(folder)
    deadline = time.monotonic() + options.seconds
    checks = Checks()
    print(f"seed {options.seed}", flush=True)
    work = pathlib.Path(tempfile.mkdtemp(prefix="run-", dir=folder))
    try:
        for name, scenario in {
            "kill": lambda at: kill_scenario(binary, python, node, at, options, deadline, checks),
            "bad-input": lambda at: bad_input_scenario(binary, python, at, options, deadline, checks),
        }.items():
            if options.only in (None, name):
                print(f"{name}:", flush=True)
                (work / name).mkdir()
                try:
                    scenario(work / name)
                except (SystemExit, OSError, KeyError, ValueError, subprocess.TimeoutExpired) as error:
                    checks.check(f"{name} ran to its end", False, f"{type(error).__name__}: {error}")
    finally:
        if checks.failed or not checks.passed:
            print(f"logs, views and data: {work}")
        else:
            shutil.rmtree(work)
    print(f"{checks.passed} passed, {checks.failed} failed (seed {options.seed})")
    return checks.failed > 0 or checks.passed == 0


if __name__ == "__main__":
    sys.exit(main())
