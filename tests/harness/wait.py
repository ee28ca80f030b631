"""Waiting for something to become true, with a deadline and a reason; and comparing times."""
import time
from datetime import datetime


def instant(text):
    """A time of the API to compare with: as texts 05Z would come behind 05.3Z."""
    return datetime.fromisoformat(text)


def wait_until(condition, what, timeout=20.0, every=0.03):
    """Call condition() until it gives something true, and return that. `what` says in the failure
    what was waited for. Exceptions of condition() count as not yet, the last one is shown."""
    deadline = time.monotonic() + timeout
    last = None
    while True:
        try:
            last = condition()
            if last:
                return last
        except (AssertionError, OSError, KeyError) as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout:.0f} s for {what}; last: {last!r}")
        time.sleep(every)
