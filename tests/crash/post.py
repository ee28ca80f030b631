"""Webhooks through crashes: endpoints on a receiver that outlives the server, and what has to hold of all that
arrived there.

  /ordered   accepts everything
  /loose     the same, "ordered": false
  /moody     fails, hangs, resets, closes, answers late, at random
  /gone      says 410 at some time, and is enabled again later
  /again     is sent ranges of events again
"""
import bisect
import collections
import time

from harness import instant, slowness, wait_until
from harness.hooks import add_hook, hook_path
from harness.receiver import Answer, Receiver

# What may come twice after a kill: outcomes that are not written yet and what is under way, of an ordered lane and
# of an endpoint that asked for no order (webhook/internal.h).
AHEAD_OF_LANE, AHEAD_LOOSE = 33, 64
PATHS = ("/ordered", "/loose", "/moody", "/gone", "/again")
ORDERED = ("/ordered", "/moody", "/gone", "/again")
MOODS = ("good",) * 14 + ("500", "429", "close", "reset", "hang", "late", "late", "cut")


class Lost(AssertionError):
    """Something of the webhooks that must always hold does not."""


class Post:
    """The endpoints of a generation."""

    def __init__(self, rng, tally):
        self.rng, self.tally = rng, tally
        self.receiver = Receiver()
        self.hooks = {}
        self.starts = []  # when each life of the server began
        self.gone_since = None  # the receiver says 410
        self.closed_at = None  # the API has said that the endpoint is disabled
        self.disablings = 0
        self.is_calm = False
        self.receiver.on("/moody", self.mood)
        self.receiver.on("/gone", self.going)

    def begin(self, api):
        """Before anything happens, so that every event is wanted."""
        for path in PATHS:
            more = {"/loose": {"ordered": False}, "/moody": {"timeout": "5s"}}.get(path, {})
            self.hooks[path] = add_hook(api, self.receiver, path, **more)

    def close(self):
        self.receiver.close()

    def starting(self):
        self.starts.append(time.time())

    # ---- what receivers answer ----

    def mood(self, _):
        mood = "good" if self.is_calm else self.rng.choice(MOODS)
        self.tally[f"answers of the moody ({mood})"] += 1
        return {
            "good": Answer(204), "500": Answer(500), "429": Answer(429, headers={"Retry-After": "1"}),
            "close": Answer(how="close"), "reset": Answer(how="reset"), "hang": Answer(how="hang"),
            "late": Answer(200, after=self.rng.uniform(0.02, 0.4)),
            "cut": Answer(how="raw", body=b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut"),
        }[mood]

    def going(self, _):
        if not self.is_calm and not self.gone_since and self.rng.random() < 0.05:
            self.gone_since = time.time()
        return Answer(410 if self.gone_since else 204)

    # ---- while the server lives ----

    def send_again(self, api):
        """A range of events is sent again; how many."""
        page = api.get("/v1/events", params={"limit": 100})["data"]
        if not page:
            return 0
        return api.post(hook_path(self.hooks["/again"], "resend"),
                        json={"since": page[-1]["timestamp"], "status": "all"}, status=202)["queued"]

    def push(self, api, path):
        """What waits for its next attempt is due at once: nobody waits half a minute here."""
        waiting = [d for d in api.pages(hook_path(self.hooks[path], "deliveries"), status="waiting", limit=500)
                   if d["attempts_made"] and d["next_attempt_at"]
                   and instant(d["next_attempt_at"]).timestamp() > time.time() + 2]
        for delivery in waiting:
            api.post(hook_path(self.hooks[path], "deliveries", delivery["id"], "resend"), status=202)

    def settle(self, api):
        """After a start."""
        self.receiver.check()
        self.push(api, "/moody")
        if self.closed_at and time.time() - self.closed_at > 3:
            self.open_again(api)
        elif self.gone_since and not self.closed_at:
            shown = api.get(hook_path(self.hooks["/gone"]))
            if shown["status"] == "disabled":
                self.closed_at = time.time()
                self.disablings += 1
                if shown["disabled_reason"] != "gone":
                    raise Lost(f"an endpoint that said 410: {shown}")

    def open_again(self, api):
        since = self.closed_at
        came = [d for d in self.receiver.of("/gone") if d.at > since + 0.1]
        if came:
            raise Lost(f"{came[0].id} came {came[0].at - since:.1f} s after the endpoint was shown as disabled")
        self.gone_since = self.closed_at = None
        api.patch(hook_path(self.hooks["/gone"]), json={"enabled": True})

    # ---- the end ----

    def finish(self, api):
        """Everything is accepted from now on, and has to arrive."""
        self.is_calm = True
        if self.gone_since and not self.closed_at:
            self.push(api, "/gone")
            wait_until(lambda: self.settle(api) or self.closed_at, "the 410 to be noted", 90 * slowness(), every=0.3)
        if self.closed_at:
            self.open_again(api)

        def drained():
            self.push(api, "/moody")
            self.push(api, "/gone")
            return all(api.get(hook_path(hook))["waiting"] == 0 for hook in self.hooks.values())
        wait_until(drained, "all deliveries to be made", 120 * slowness(), every=0.3)
        told = list(reversed(list(api.pages("/v1/events", limit=500))))
        self.receiver.check()
        for path in PATHS:
            self.check_path(path, told)
        self.check_disablings(told)
        self.tally["events told"] += len(told)
        self.tally["deliveries received"] += len(self.receiver.deliveries)
        return told

    def check_path(self, path, told):
        """Everything came, in order, the same each time, and not more often than kills explain."""
        arrived = self.receiver.of(path)
        first, lanes = {}, collections.defaultdict(list)
        for d in arrived:
            before = first.setdefault(d.id, d)
            if before is d:
                lanes[d.event["connection_id"]].append(d)
            elif (before.body, before.sequence) != (d.body, d.sequence):
                raise Lost(f"{path}: {d.id} came with another body or number")
        for event in told:
            if event["id"] not in first:
                raise Lost(f"{path}: {event['type']} {event['id']} never came")
            if first[event["id"]].event != event:
                raise Lost(f"{path}: {event['id']} came as {first[event['id']].event}, is {event}")
        made_up = first.keys() - {event["id"] for event in told}
        if made_up:
            raise Lost(f"{path}: {sorted(made_up)[:3]} came and are no events")
        for connection, came in lanes.items():
            numbers = sorted(d.sequence for d in came)
            if numbers != list(range(1, len(numbers) + 1)):
                raise Lost(f"{path}: the numbers of {connection} have gaps: {numbers[:20]}...")
            order = [event["id"] for event in told if event["connection_id"] == connection]
            if path in ORDERED and [d.id for d in came] != order:
                at = next(i for i, (d, want) in enumerate(zip(came, order)) if d.id != want)
                raise Lost(f"{path}: number {at + 1} of {connection} came as {came[at].id}, is {order[at]}")
        if path != "/again":
            self.check_repeats(path, arrived)

    def check_repeats(self, path, arrived):
        """What was accepted comes again only in a later life, and then not more than were under way."""
        accepted, per_kill = {}, collections.Counter()
        for d in arrived:
            life = bisect.bisect(self.starts, d.at)
            if d.id in accepted:
                if accepted[d.id] == life:
                    raise Lost(f"{path}: {d.id} came again in the life in which it was accepted")
                per_kill[(life, d.event["connection_id"] if path in ORDERED else None)] += 1
                self.tally["repeats"] += 1
            if d.answered and d.answered.how == "answer" and d.answered.status < 300 and d.sent:
                accepted[d.id] = life
        ahead = AHEAD_OF_LANE if path in ORDERED else AHEAD_LOOSE
        if per_kill and max(per_kill.values()) > ahead:
            raise Lost(f"{path}: {max(per_kill.values())} came again after a kill, {ahead} may have been under way")

    def check_disablings(self, told):
        gone = self.hooks["/gone"]["id"]
        errors = [e for e in told if e["type"] == "system.error" and e["data"]["webhook_id"] == gone]
        if len(errors) != self.disablings:
            raise Lost(f"{len(errors)} times told that an endpoint was disabled, it was {self.disablings} times")
        self.tally["endpoints disabled"] += self.disablings


def check_feed(told, connection, last_seq):
    """Every change of the feed is told, by one run, and lies in the range that it names."""
    covered, counted = [False] * (last_seq + 1), 0
    for event in told:
        if event["type"] == "records.changed" and event["connection_id"] == connection:
            data = event["data"]
            for seq in range(data["after_seq"] + 1, data["to_seq"] + 1):
                covered[seq] = True
            counted += sum(each[op] for each in data["entities"] for op in ("created", "updated", "deleted"))
    missing = [seq for seq in range(1, last_seq + 1) if not covered[seq]]
    if missing or counted != last_seq:
        raise Lost(f"changes {missing[:5]} of {last_seq} are in no range; {counted} are counted")
