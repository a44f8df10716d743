"""Every request comes from an address of its own, as the server is told by a proxy: else its many failed logins would
slow each other down, as they should. And whoever asks logs in again when their token is good no longer: runs take longer
than one lives, and among what an admin may do is to end all logins of a user, their own too.
"""

import itertools
import json
import os
import urllib.request

import schemathesis

HTTP = urllib.request.build_opener(urllib.request.ProxyHandler({}))
# Where, as whom, and the token with which the run begins.
ADDRESS, LOGIN, PASSWORD, GIVEN = (os.environ.get(f"CHAT_{name}") for name in ("ADDRESS", "LOGIN", "PASSWORD", "TOKEN"))

numbers = itertools.count(1)
current = GIVEN


def another_address():
    number = next(numbers)
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def login():
    body = json.dumps({"login": LOGIN, "password": PASSWORD}).encode()
    headers = {"Content-Type": "application/json", "X-Forwarded-For": another_address()}
    with HTTP.open(urllib.request.Request(ADDRESS + "/api/auth/login", body, headers)) as answer:
        return json.load(answer)["accessToken"]


def prepared(request):
    global current
    request.headers["X-Forwarded-For"] = another_address()
    if GIVEN and request.headers.get("Authorization") == f"Bearer {GIVEN}":
        current = current or login()
        request.headers["Authorization"] = f"Bearer {current}"
    return request


@schemathesis.hook
def before_call(context, case, kwargs):
    # As the last thing before it is sent, not among the headers of the case: what was left out of these on purpose
    # would be put in again.
    kwargs.setdefault("auth", prepared)


@schemathesis.hook
def after_call(context, case, response):
    global current
    if response.status_code == 401 and response.request.headers.get("Authorization") == f"Bearer {current}":
        current = None
