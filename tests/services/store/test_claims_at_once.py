"""Many threads and processes that take jobs at once: none gets one twice, none is forgotten."""

import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from spatial_agent.services.store.errors import QueueFullError
from spatial_agent.services.store.records import EventId, JobEvent, NewJob
from spatial_agent.services.store.store import Store

THREADS = 8


def at_once(work: Callable[[int], list[str]], threads: int = THREADS) -> list[str]:
    """Return what every thread's work gives, all begun at the same moment."""
    barrier = threading.Barrier(threads)

    def begin(number: int) -> list[str]:
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(threads) as pool:
        return [item for some in pool.map(begin, range(threads)) for item in some]


def question(session: str | None = None) -> NewJob:
    return NewJob("ann", "question", {}, "sc_1", session)


def finish(store: Store, worker: str, id: str, attempt: int = 1) -> None:
    assert store.jobs.finish(
        worker, id, "done", answer={}, events=[JobEvent(EventId(attempt, 1), "answer", {})]
    )


def test_no_job_is_taken_twice_and_none_is_left(store: Store) -> None:
    ids = {store.jobs.submit(question())[0].id for _ in range(60)}

    def take_all(number: int) -> list[str]:
        taken = []
        while job := store.jobs.claim(f"w{number}", 600.0):
            taken.append(job.id)
            finish(store, f"w{number}", job.id)
        return taken

    assert Counter(at_once(take_all)) == Counter(ids)
    assert store.jobs.counts()["done"] == 60


def test_a_lease_that_ran_out_goes_to_one(store: Store) -> None:
    for _ in range(10):
        store.jobs.submit(question())
        store.jobs.claim("dead", -1.0)

    def take_all(number: int) -> list[str]:
        taken = []
        while job := store.jobs.claim(f"w{number}", 600.0):
            taken.append(job.id)
        return taken

    taken = at_once(take_all)
    assert len(taken) == len(set(taken)) == 10


def test_jobs_of_a_session_never_run_side_by_side_nor_out_of_order(store: Store) -> None:
    sessions = ("se_1", "se_2", None)
    order = [(session, store.jobs.submit(question(session))[0].id) for _ in range(10) for session in sessions]
    running: Counter[str] = Counter()
    lock = threading.Lock()
    ended: list[str] = []
    overlaps: list[str] = []

    def take_all(number: int) -> list[str]:
        # Threads that find everything busy look again, until all is done.
        while len(ended) < len(order):
            job = store.jobs.claim(f"w{number}", 600.0)
            if job is None:
                continue
            with lock:
                if job.new.session is not None:
                    running[job.new.session] += 1
                    overlaps.extend(s for s, count in running.items() if count > 1)
            store.jobs.renew(f"w{number}", [job.id], 600.0)
            with lock:
                if job.new.session is not None:
                    running[job.new.session] -= 1
                ended.append(job.id)
            finish(store, f"w{number}", job.id)
        return []

    at_once(take_all, 4)
    assert overlaps == []
    for session in ("se_1", "se_2"):
        asked = [id for whose, id in order if whose == session]
        assert [id for id in ended if id in asked] == asked


def test_a_session_that_is_asked_from_many_places_stays_in_order(store: Store) -> None:
    def ask_and_take(number: int) -> list[str]:
        taken = []
        for _ in range(6):
            store.jobs.submit(question("se_1"))
            if job := store.jobs.claim(f"w{number}", 600.0):
                running = store.jobs.listed("ann", state="running")
                taken += [one.id for one in running if one.id != job.id]
                finish(store, f"w{number}", job.id)
        return taken

    assert at_once(ask_and_take) == []


def test_an_idempotency_key_used_at_once_makes_one_job(store: Store) -> None:
    def submit(_: int) -> list[str]:
        job, is_new = store.jobs.submit(question(), idempotency_key="k", fingerprint="f")
        return [f"{job.id} {is_new}"]

    told = at_once(submit)
    assert len({text.split()[0] for text in told}) == 1
    assert [text.split()[1] for text in told].count("True") == 1


def test_a_tenants_limit_holds_whoever_hands_in_at_once(store: Store) -> None:
    def submit(_: int) -> list[str]:
        made = []
        for _ in range(5):
            try:
                made.append(store.jobs.submit(question(), most_of_tenant=20, most_queued=25)[0].id)
            except QueueFullError:
                continue
        return made

    assert len(at_once(submit)) == 20


def test_a_job_is_either_cancelled_or_done(store: Store) -> None:
    ids = [store.jobs.submit(question())[0].id for _ in range(24)]

    def cancel_or_run(number: int) -> list[str]:
        if number % 2:
            for id in ids[number // 2 :: 4]:
                store.jobs.cancel("ann", id)
            return []
        while job := store.jobs.claim(f"w{number}", 600.0):
            state = "cancelled" if store.jobs.renew(f"w{number}", [job.id], 600.0)[job.id] else "done"
            last = JobEvent(EventId(1, 1), "answer" if state == "done" else state, {})
            answer: dict[str, object] | None = {} if state == "done" else None
            assert store.jobs.finish(f"w{number}", job.id, state, answer=answer, events=[last])  # type: ignore[arg-type]
        return []

    at_once(cancel_or_run)
    counts = store.jobs.counts()
    assert counts["done"] + counts["cancelled"] == 24
    kinds = {"done": ["answer"], "cancelled": ["cancelled"]}
    for id in ids:
        job = store.jobs.job("ann", id)
        assert job is not None
        assert [event.kind for event in store.events.after(id, None)] == kinds[job.state]


def test_processes_that_start_at_once_share_one_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new' / 'store.sqlite'}"
    program = f"""
from spatial_agent.services.store.store import Store
import os, sys
print("ready", flush=True)
sys.stdin.readline()
with Store.open({url!r}) as store:
    print("open", flush=True)
    sys.stdin.readline()
    while job := store.jobs.claim(str(os.getpid()), 600.0):
        print(job.id)
        assert store.jobs.finish(str(os.getpid()), job.id, "done", answer={{}})
"""
    command = [sys.executable, "-c", program]
    workers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        for _ in range(2)
    ]
    assert [said(worker) for worker in workers] == ["ready", "ready"]
    for worker in workers:
        tell(worker)
    assert [said(worker) for worker in workers] == ["open", "open"]
    with Store.open(url) as store:
        ids = {store.jobs.submit(question())[0].id for _ in range(40)}
        for worker in workers:
            tell(worker)
        taken = [id for worker in workers for id in worker.communicate(timeout=60)[0].split()]
        assert Counter(taken) == Counter(ids)
        assert [worker.returncode for worker in workers] == [0, 0]


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go on\n")
