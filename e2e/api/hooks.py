"""Every request comes from an address of its own, as the server is told by a proxy: else its many failed logins would
slow each other down, as they should."""

import itertools

import schemathesis

numbers = itertools.count(1)


def from_elsewhere(request):
    number = next(numbers)
    request.headers["X-Forwarded-For"] = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    return request


@schemathesis.hook
def before_call(context, case, kwargs):
    # As the last thing before it is sent, not among the headers of the case: what was left out of these on purpose
    # would be put in again.
    kwargs.setdefault("auth", from_elsewhere)
