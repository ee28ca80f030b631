#!/usr/bin/env python3
"""kill -9 at any moment: nothing may be lost, doubled or made up.

    crash.py [--kills 500] [--seed N] [--lanes 2] [--keep] [--verbose]

Each lane has a simulated system that keeps changing (and failing now and then), a server on it, and a
follower of its change feed that lives through everything. The server is killed while it runs full and
incremental syncs, scheduled and asked for, while connections are created, changed and deleted, keys made and
revoked, schedules changed, syncs started and cancelled, backups made, webhooks sent; shortly after it was started (a new
store being made, one that a crash left being recovered); and while it stops. After each kill

  - the store file as the crash left it is sound and agrees with itself (examine.py): change numbers without a
    gap, each change once and in order, counts, runs and the streams they hold, writes and their audit rows;
  - every record is a version that the source had, and not an earlier one than before; nothing is missing that
    lies before a checkpoint; nothing is deleted that was there (truth.py);
  - after the restart every acknowledged write of the API is there, every other one wholly or not at all
    (paper.py); the feed goes on without a gap;
  - a backup that was called finished, or has its name, restores to a store of which the same holds.

Events are sent to a receiver that lives on, whose endpoints accept, fail, hang, reset, answer late or say 410
(post.py): each arrives wherever it is wanted, in order, signed, the same every time, and again only when a kill
came between; nothing comes to an endpoint that is disabled; every change of the feed is told.

At the end one incremental sync has to bring everything that was changed, one full sync everything; then the
API's lists, the follower's copy and the source are the same. The seed decides what is chosen, in each thread
by a stream of choices of its own, and is printed; when it happens is up to the machine.
"""
import argparse
import collections
import multiprocessing
import pathlib
import random
import shutil
import sys
import tempfile
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "e2e")]

from lane import Generation  # noqa: E402

GENERATION = 250  # kills of one store: what a round looks at grows with it


def run_lane(number, options, kills, results):
    """One lane: generations one after another. Puts ("line", text) and one ("end", ...) into results."""
    tally, failure = collections.Counter(), None
    place = pathlib.Path(tempfile.mkdtemp(prefix=f"penstock-crash-{number}-"))

    def tell(text):
        results.put(("line", f"lane {number}: {text}"))

    for generation in range((kills + GENERATION - 1) // GENERATION):
        count = min(GENERATION, kills - generation * GENERATION)
        directory = place / f"generation-{generation}"
        try:
            life = Generation(directory, f"{options.seed}/{number}/{generation}", tally, tell, options.verbose)
            life.run(count)
        except Exception as error:  # pylint: disable=broad-except; whatever it is, it is a finding
            failure = f"{type(error).__name__}: {error}"
            tell(f"FAILED in generation {generation}: {failure}\n{traceback.format_exc() if options.verbose else ''}")
            break
        if not options.keep:
            shutil.rmtree(directory)
    if failure or options.keep:
        tell(f"kept: {place}")
    else:
        shutil.rmtree(place)
    results.put(("end", dict(tally), failure))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--lanes", type=int, default=2)
    parser.add_argument("--keep", action="store_true", help="keep the directories")
    parser.add_argument("--verbose", action="store_true", help="a line per kill")
    options = parser.parse_args()
    print(f"seed {options.seed}; repeat with: tests/crash/crash.py --kills {options.kills} --seed {options.seed} "
          f"--lanes {options.lanes}", flush=True)
    started = time.monotonic()
    results = multiprocessing.Queue()
    shares = [options.kills // options.lanes + (i < options.kills % options.lanes) for i in range(options.lanes)]
    lanes = [multiprocessing.Process(target=run_lane, args=(i, options, share, results))
             for i, share in enumerate(shares) if share]
    for lane in lanes:
        lane.start()
    tally, failures, ended = collections.Counter(), 0, 0
    while ended < len(lanes):
        kind, *more = results.get()
        if kind == "line":
            print(more[0], flush=True)
            continue
        tally.update(more[0])
        failures += more[1] is not None
        ended += 1
    for lane in lanes:
        lane.join()
    print("; ".join(f"{name} {count}" for name, count in sorted(tally.items())))
    print(f"{time.monotonic() - started:.0f} s")
    print(f"{tally['kills'] + tally['stores compared at the end']} passed, {failures} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
