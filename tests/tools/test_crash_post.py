"""The crash test's checks of webhooks find what they are for."""
import collections
import json
import pathlib
import random
import sys

import pytest

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "crash")]

from harness.receiver import Answer, Delivery  # noqa: E402  (after the path is set)
from post import AHEAD_OF_LANE, Lost, Post, check_feed  # noqa: E402


def event(number, connection="conn_a", kind="sync.completed", **data):
    return {"id": f"evt_{number:026}", "type": kind, "connection_id": connection, "data": data}


def delivery(told, sequence, at, status=204):
    headers = {"webhook-id": told["id"], "penstock-sequence": str(sequence), "penstock-attempt": "1"}
    return Delivery("/ordered", headers, json.dumps(told).encode(), at, 1, Answer(status), 20, at)


TOLD = [event(i, "conn_a" if i % 2 else "conn_b") for i in range(10)]


def arrivals():
    """All of TOLD, in order, in the first life of the server (which began at 0; the next ones at 100, 200)."""
    counts = collections.Counter()
    found = []
    for at, told in enumerate(TOLD):
        counts[told["connection_id"]] += 1
        found.append(delivery(told, counts[told["connection_id"]], at + 1))
    return found


@pytest.fixture
def post():
    made = Post(random.Random(1), collections.Counter())
    made.starts = [0, 100, 200]
    yield made
    made.close()


def check(post, found, told=None):
    post.receiver.deliveries = found
    post.check_path("/ordered", told or TOLD)


def test_what_is_right_passes(post):
    check(post, arrivals())


def test_a_repeat_after_a_kill_passes(post):
    found = arrivals()
    check(post, found + [delivery(TOLD[9], found[9].sequence, 101)])


def test_a_failure_may_be_repeated_at_once(post):
    found = arrivals()
    check(post, [delivery(TOLD[0], 1, 0.5, status=503)] + found)


def test_what_never_came_is_found(post):
    with pytest.raises(Lost, match="never came"):
        check(post, arrivals()[:-1])


def test_what_is_no_event_is_found(post):
    with pytest.raises(Lost, match="are no events"):
        check(post, arrivals() + [delivery(event(77), 6, 50)])


def test_the_wrong_order_is_found(post):
    found = arrivals()
    found[3], found[5] = found[5], found[3]
    with pytest.raises(Lost, match="came as"):
        check(post, found)


def test_another_body_is_found(post):
    found = arrivals()
    with pytest.raises(Lost, match="another body"):
        check(post, found + [delivery({**TOLD[0], "data": {"x": 1}}, 1, 101)])


def test_a_gap_in_the_numbers_is_found(post):
    found = arrivals()
    found[9].headers["penstock-sequence"] = "17"
    with pytest.raises(Lost, match="gaps"):
        check(post, found)


def test_a_repeat_without_a_kill_is_found(post):
    found = arrivals()
    with pytest.raises(Lost, match="in the life in which it was accepted"):
        check(post, found + [delivery(TOLD[9], found[9].sequence, 99)])


def test_too_many_repeats_after_one_kill_are_found(post):
    told = [event(i) for i in range(AHEAD_OF_LANE + 1)]
    found = [delivery(each, i + 1, i + 1) for i, each in enumerate(told)]
    again = [delivery(each, i + 1, 101 + i) for i, each in enumerate(told)]
    check(post, found + again[1:], told)
    with pytest.raises(Lost, match="may have been under way"):
        check(post, found + again, told)


def test_a_disabling_that_is_told_twice_is_found(post):
    post.hooks["/gone"] = {"id": "whk_1"}
    post.disablings = 1
    error = event(1, None, "system.error", webhook_id="whk_1")
    post.check_disablings([error])
    with pytest.raises(Lost, match="2 times told"):
        post.check_disablings([error, error])


def test_a_delivery_to_a_disabled_endpoint_is_found(post):
    post.closed_at = 50
    late = delivery(TOLD[0], 1, 51)
    late.path = "/gone"
    post.receiver.deliveries = [late]
    with pytest.raises(Lost, match="shown as disabled"):
        post.open_again(None)


def test_changes_that_are_not_told_are_found():
    def changed(after, to, count):
        return event(to, "conn_a", "records.changed", after_seq=after, to_seq=to,
                     entities=[{"entity": "items", "created": count, "updated": 0, "deleted": 0}])
    check_feed([changed(0, 3, 3), changed(3, 7, 4)], "conn_a", 7)
    for wrong in ([changed(0, 3, 3)], [changed(0, 3, 3), changed(4, 7, 4)], [changed(0, 3, 3), changed(3, 7, 3)]):
        with pytest.raises(Lost, match="are in no range"):
            check_feed(wrong, "conn_a", 7)
