#!/usr/bin/env python3
"""Holds a running server against the description that it serves. See README.md.

Needs Python with venv, cargo, and a package index. Exits with 1 when anything fails.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
HTTP = urllib.request.build_opener(urllib.request.ProxyHandler({}))
PASSWORD = "correct horse battery"
CONFIG = """
trusted_proxies = ["127.0.0.1"]
[limits]
registrations_per_hour = 0
logins_per_hour = 0
uploads_per_hour = 0
messages_per_minute = 0
commands_per_second = 0
typing_per_second = 0
connections_per_user = 0
connections_per_ip = 0
rooms_per_user = 0
"""

# What ends whoever asks, or their login.
FATAL = ["changePassword", "endSession", "eraseMe", "logout", "logoutAll"]
# A stream has no end to wait for.
ENDLESS = ["streamEvents"]


def target_folder():
    found = subprocess.run(
        ["cargo", "metadata", "--format-version", "1", "--no-deps"], cwd=ROOT, capture_output=True, check=True
    )
    return pathlib.Path(json.loads(found.stdout)["target_directory"])


def install(folder):
    """The tool, in a virtual environment of its own."""
    tool = folder / "bin" / "st"
    if not tool.exists():
        venv.create(folder, with_pip=True)
        pip = [str(folder / "bin" / "pip"), "install", "--quiet", "--requirement", str(HERE / "requirements.txt")]
        subprocess.run(pip, check=True)
    return tool


@contextlib.contextmanager
def server(binary):
    """A server on an empty store, with an admin; gives its address."""
    with tempfile.TemporaryDirectory() as home:
        home = pathlib.Path(home)
        (home / "chat.toml").write_text(CONFIG)
        data = ["--data-dir", str(home / "data")]
        create = [binary, "admin", "create", "--username", "root_1", "--email", "root@example.org", "--password-stdin"]
        subprocess.run(create + data, input=PASSWORD.encode(), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        log = (home / "log").open("wb")
        command = [binary, "--config", str(home / "chat.toml"), "--listen", "127.0.0.1:0"] + data
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
        try:
            line = child.stdout.readline().decode().strip()
            yield line.removeprefix("listening on ")
            if child.poll() is not None:
                sys.exit(f"the server has ended: {(home / 'log').read_text()[-2000:]}")
        finally:
            child.kill()
            child.wait()


def post(address, path, body):
    request = urllib.request.Request(address + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with HTTP.open(request) as answer:
        return json.load(answer)


def member(address, name):
    body = {"email": f"{name}@example.org", "username": name, "password": PASSWORD}
    return post(address, "/api/auth/register", body)["accessToken"]


def furnish(address, token):
    """Something to find: a room with messages, and somebody to write to."""
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    HTTP.open(urllib.request.Request(address + "/api/rooms/lobby/join", b"{}", headers)).close()
    for number in range(3):
        body = json.dumps({"content": f"message {number}"}).encode()
        HTTP.open(urllib.request.Request(address + "/api/rooms/lobby/messages", body, headers)).close()
    member(address, "somebody_else")


def run(tool, address, login, token, options, arguments):
    command = [
        str(tool), "--config-file", str(HERE / "schemathesis.toml"), "run", address + "/api/openapi.json",
        "--url", address, "--phases", "examples,coverage,fuzzing,stateful", "--checks", "all",
        "--max-examples", str(options.examples), "--generation-deterministic", "--workers", "1", "--no-color",
    ]
    if token:
        command += ["--header", f"Authorization: Bearer {token}"]
    hooks = {"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE), "PYTHONDONTWRITEBYTECODE": "1"}
    if token:
        hooks |= {"CHAT_ADDRESS": address, "CHAT_LOGIN": login, "CHAT_PASSWORD": PASSWORD, "CHAT_TOKEN": token}
    environment = {**os.environ, **hooks, "NO_PROXY": "127.0.0.1"}
    began = time.monotonic()
    ran = subprocess.run(command + arguments, capture_output=True, text=True, env=environment)
    cases = re.search(r"(\d+) generated(?:, (\d+) found (\d+) unique failures)?", ran.stdout)
    tested = re.search(r"Tested: (\d+)", ran.stdout)
    if ran.returncode != 0 or not cases or not tested:
        print(ran.stdout, ran.stderr)
    generated, failures = (int(cases[1]), int(cases[3] or 0)) if cases else (0, 1)
    return int(tested[1]) if tested else 0, generated, failures or int(ran.returncode != 0), time.monotonic() - began


def every(tool, binary, principal, options):
    """All operations as one principal. Gives operations, cases and failures."""
    with server(binary) as address:
        login, token = None, None
        if principal == "member":
            login, token = "member_1", member(address, "member_1")
        if principal == "admin":
            login = "root_1"
            token = post(address, "/api/auth/login", {"login": login, "password": PASSWORD})["accessToken"]
        if token:
            furnish(address, token)
        apart = FATAL if token else []
        leave_out = [part for name in apart + ENDLESS for part in ("--exclude-operation-id", name)]
        runs = [run(tool, address, login, token, options, leave_out)]
        for name in apart:
            once = f"once_{name}".lower()
            only = ["--include-operation-id", name]
            runs.append(run(tool, address, once, member(address, once), options, only))
    operations, cases, failures, seconds = (sum(figures) for figures in zip(*runs))
    print(f"{principal}: {operations} operations, {cases} cases, {failures} failures, {seconds:.0f} s", flush=True)
    return failures


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=200, help="of each operation")
    parser.add_argument("--as", dest="principals", action="append", choices=["anonymous", "member", "admin"])
    options = parser.parse_args()
    target = target_folder()
    subprocess.run(["cargo", "build", "--locked", "--release", "-p", "chat-server"], cwd=ROOT, check=True)
    tool = install(target / "e2e-api")
    binary = str(target / "release" / "chat-server")
    principals = options.principals or ["anonymous", "member", "admin"]
    sys.exit(1 if sum(every(tool, binary, principal, options) for principal in principals) else 0)


if __name__ == "__main__":
    main()
