"""Many designs at once: processes of this machine, each with its share of the threads, or a Dask cluster.

Workers are processes of their own that begin empty and are sent the study, so that scripts need no guard
around their main part and a crash in one analysis ends one worker, not the study. What a worker has analyzed
it writes into the store of the study itself before it says so: neither its own end nor that of the process
that asked loses a finished design.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from designtwin import parallel
from designtwin.errors import StudyError
from designtwin.progress import track
from designtwin.study.evaluate import OutOfTime
from designtwin.study.store import Evaluation, Store

if TYPE_CHECKING:
    from designtwin.study.study import Study

_ATTEMPTS = 3
"""A design that ends this many workers is a failed design."""
_ALONE = 30.0
"""Seconds without an answer after which a cluster is asked whether it has any workers."""
_GRACE = 5.0
"""Seconds beyond the time limit of a study after which a worker that does not stop by itself is ended."""
_WORTH = 10.0
"""Seconds of analyses from which workers pay, which take some to start."""
_LENGTH = struct.Struct("<Q")
_LIBRARY_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
Design = Mapping[str, float]


def evaluate_many(
    study: Study, designs: Sequence[Design], *, workers: int | None = None, cluster: Any = None,
    store: Store | None = None, purpose: str = "design",
) -> list[Evaluation]:  # fmt: skip
    """Analyze designs side by side; the answers are in the order of the designs (see `Workers`)."""
    if not designs:
        return []
    with Workers(study, workers=workers, cluster=cluster, store=store, at_most=len(designs)) as pool:
        found = dict(pool.map(designs, purpose=purpose))
    return [found[i] for i in range(len(designs))]


def check_workers(workers: int | None) -> None:
    """A number of processes, or none stated.

    Raises
    ------
    StudyError
        If it is neither.
    """
    if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 1):
        raise StudyError(f"workers={workers!r} is no number of processes; 1 is this process alone")


class Workers:
    """Processes that analyze the designs of a study; a context manager.

    Parameters
    ----------
    study : Study
    workers : int, optional
        Processes on this machine, together on all its threads (``DESIGNTWIN_THREADS``); as many as there are
        threads unless told. 1 analyses in this process.
    cluster : str, Client or Cluster of Dask, optional
        Where to analyze instead: ``"tcp://head:8786"``, or what ``dask.distributed`` made. A design takes all
        threads of a Dask worker, so give it as many as an analysis can use (``dask worker --nthreads 8``).
    store : Store, optional
        Keeps every evaluation before `map` yields it.
    at_most : int, optional
        No more workers than this.

    Raises
    ------
    StudyError
        If workers and cluster are both given or are nonsense, the study cannot be sent, a worker cannot
        start, or the cluster does not answer.
    """

    def __init__(
        self, study: Study, *, workers: int | None = None, cluster: Any = None, store: Store | None = None,
        at_most: int | None = None,
    ) -> None:  # fmt: skip
        check_workers(workers)
        if cluster is not None and workers is not None:
            raise StudyError("the cluster says how many workers there are; leave workers= out")
        self._store = store
        self._crew: _Here | _Local | _Dask
        if cluster is not None:
            self._crew = _Dask(study, cluster)
        else:
            total = parallel.threads()
            count = min(total if workers is None else workers, at_most or sys.maxsize)
            self._crew = _Local(study, count, total, store) if count > 1 else _Here(study)

    def map(self, designs: Sequence[Design], *, purpose: str = "design") -> Iterator[tuple[int, Evaluation]]:
        """Number and evaluation of each design, as they are finished.

        A design that cannot be analyzed, or that ends its worker again and again, has its reason in
        ``failure``.

        Raises
        ------
        StudyError
            If the study itself is wrong, or no worker can start.
        """
        for i, evaluation in self._crew.map([dict(design) for design in designs], purpose):
            if self._store is not None and not self._crew.keeps:
                self._store.add(evaluation)
            yield i, evaluation

    def close(self) -> None:
        """End the workers; one that is in the middle of a design is not waited for."""
        self._crew.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def packed(study: Study) -> bytes:
    """A study as bytes for another process: functions of scripts and notebooks by value where that can be.

    Raises
    ------
    StudyError
        If a function it holds cannot be sent; says what to do.
    """
    import dataclasses

    # The store of a worker is opened by what the driver checked, not by what it would find itself.
    study = dataclasses.replace(study, store=None)
    try:
        import cloudpickle
    except ImportError:
        dumps: Callable[[Any], bytes] = pickle.dumps
        hint = "pip install designtwin[cluster] sends any function; or write build and tests in a module"
        own = [f for f in (study.build, study.tests) if getattr(f, "__module__", "") == "__main__"]
        if own:
            name = getattr(own[0], "__name__", repr(own[0]))
            raise StudyError(
                f"{name} is defined in the script or notebook itself, which workers do not run; {hint}"
            ) from None
    else:
        dumps = cloudpickle.dumps
        hint = "build and tests must not hold open files, locks or connections"
    try:
        return dumps(study)
    except Exception as error:  # pickle raises whatever the object raises
        raise StudyError(
            f"the study cannot be sent to workers: {type(error).__name__}: {error}; {hint}"
        ) from error


class _Here:
    """This process, one design after another."""

    keeps = False

    def __init__(self, study: Study) -> None:
        self._study = study

    def map(self, designs: list[dict[str, float]], purpose: str) -> Iterator[tuple[int, Evaluation]]:
        for i, values in enumerate(designs):
            yield i, self._study.analyze(values, purpose=purpose)

    def close(self) -> None: ...


class _Local:
    """Processes of this machine, each driven by a thread of this one."""

    def __init__(self, study: Study, count: int, total: int, store: Store | None) -> None:
        kept = store is not None and store.folder is not None
        self.keeps = kept
        where = (str(store.folder), dict(store.fingerprint)) if store is not None and kept else None
        self._hello = (packed(study), where)
        share, more = divmod(max(total, count), count)
        limit = study.time_limit
        self._workers = [_Worker(self._hello, share + (i < more), limit) for i in range(count)]

    def map(self, designs: list[dict[str, float]], purpose: str) -> Iterator[tuple[int, Evaluation]]:
        jobs: SimpleQueue[tuple[int, int]] = SimpleQueue()
        done: SimpleQueue[tuple[int, Evaluation] | BaseException] = SimpleQueue()
        for i in range(len(designs)):
            jobs.put((i, 0))

        def drive(worker: _Worker) -> None:
            try:
                while True:
                    try:
                        i, deaths = jobs.get_nowait()
                    except Empty:
                        return
                    try:
                        answer = worker.ask((designs[i], purpose))
                    except EOFError:
                        why, late = worker.ended(), worker.late
                        if late:
                            answer = _lost(designs[i], purpose, why)
                            worker.keep(answer)
                            done.put((i, answer))
                            continue
                        if deaths + 1 < _ATTEMPTS:
                            jobs.put((i, deaths + 1))
                            continue
                        answer = _lost(designs[i], purpose, f"{why}, {_ATTEMPTS} times")
                        worker.keep(answer)
                    done.put(answer if isinstance(answer, BaseException) else (i, answer))
            except BaseException as error:
                done.put(error)

        threads = [
            threading.Thread(target=drive, args=(worker,), daemon=True, name="designtwin-worker")
            for worker in self._workers
        ]
        for thread in threads:
            thread.start()
        try:
            for _ in designs:
                answer = done.get()
                if isinstance(answer, BaseException):
                    raise answer
                yield answer
        except BaseException:  # also when the caller stops listening: nothing new is begun
            with contextlib.suppress(Empty):
                while True:
                    jobs.get_nowait()
            self.close()
            raise
        finally:
            for thread in threads:
                thread.join()

    def close(self) -> None:
        for worker in self._workers:
            worker.stop()


class _Worker:
    """One process, started when it is first asked and again after it died."""

    def __init__(self, hello: tuple[bytes, Any], threads: int, limit: float | None) -> None:
        self._hello, self._threads, self._limit = hello, threads, limit
        self.late = False
        self._process: Any = None  # a Popen while it runs
        self._stopped = False

    def ask(self, question: Any) -> Any:
        """The answer; EOFError where the process ended instead."""
        if self._process is None:
            self._start()
        self.late = False
        timer = None if self._limit is None else threading.Timer(self._limit + _GRACE, self._expire)
        try:
            if timer is not None:
                timer.daemon = True
                timer.start()
            _send(self._process.stdin, question)
            return _receive(self._process.stdout)
        except (BrokenPipeError, ConnectionError, ValueError):  # a pipe that closed, or was closed by stop()
            raise EOFError from None
        finally:
            if timer is not None:
                timer.cancel()

    def _expire(self) -> None:
        """End a process that did not stop by itself at its limit."""
        self.late = True
        self._process.kill()

    def _start(self) -> None:
        self._check_open()
        if not sys.executable:
            raise StudyError(
                "this Python does not know its own executable, so no worker can start; workers=1"
            )
        environment = os.environ | dict.fromkeys(_LIBRARY_THREADS, "1") | {
            "DESIGNTWIN_THREADS": str(self._threads),
            "DESIGNTWIN_QUIET": "1",
            "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
        }  # fmt: skip
        process = subprocess.Popen(
            [sys.executable, "-c", "from designtwin.study.variants import serve; serve()"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment,
            process_group=0 if os.name == "posix" else None,  # Ctrl-C is for the one who asked
        )  # fmt: skip
        self._process = process
        try:
            self._check_open()
        except StudyError:  # meanwhile
            self.stop()
            raise
        try:
            _send(process.stdin, self._hello)
            answer = _receive(process.stdout)
        except (EOFError, BrokenPipeError, ConnectionError, ValueError):
            raise StudyError(f"a worker could not start: {self.ended()}; what it said is above") from None
        if isinstance(answer, BaseException):
            self.stop()
            raise answer

    def _check_open(self) -> None:
        if self._stopped:
            raise StudyError("these workers have been closed")

    def ended(self) -> str:
        """How the process ended, in words; the next question starts another."""
        process, self._process = self._process, None
        if process is None:
            return "the worker was stopped"
        code = _reap(process)
        if self.late and self._limit is not None:
            return f"{OutOfTime(self._limit)}, and the worker that did not stop was ended"
        if code >= 0:
            return f"the worker ended with exit code {code}"
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        likely = ", as the system does when memory runs out; fewer workers= need less" if code == -9 else ""
        return f"the worker was ended by {name}{likely}"

    def keep(self, evaluation: Evaluation) -> None:
        """Into the store, as the worker itself no longer can."""
        if self._hello[1] is not None:
            store = Store(*self._hello[1])
            store.add(evaluation)
            store.close()

    def stop(self) -> None:
        self._stopped = True
        process = self._process
        if process is not None:
            process.terminate()
            _reap(process)


def _reap(process: subprocess.Popen[bytes]) -> int:
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError, ValueError):
            if pipe is not None:
                pipe.close()
    try:
        return process.wait(timeout=10.0)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _lost(values: dict[str, float], purpose: str, why: str) -> Evaluation:
    return Evaluation(0, values, None, failure=f"WorkerDied: {why}", purpose=purpose)


def serve() -> None:
    """Be a worker: the study comes first, then design after design, until the other side is gone."""
    # Whatever build prints must not mix with the answers.
    asked, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who asked
    store: Store | None = None
    try:
        blob, where = _receive(asked)
        try:
            study: Study = pickle.loads(blob)
            store = Store(*where) if where is not None else None
            reply: Any = None
        except Exception as error:
            study, reply = None, _portable(error)  # type: ignore[assignment]
        _send(answers, reply)
        while True:
            values, purpose = _receive(asked)
            try:
                evaluation = study.analyze(values, purpose=purpose)
                if store is not None:
                    store.add(evaluation)
                answer: Any = evaluation
            except Exception as error:
                answer = _portable(error)
            _send(answers, answer)
    except (EOFError, BrokenPipeError):
        return


def _portable(error: Exception) -> Exception:
    """An error that can cross, as itself where it is ours."""
    if isinstance(error, StudyError):
        return StudyError(*error.args)
    import traceback

    text = "".join(traceback.format_exception(error))
    return StudyError(f"a worker failed with {type(error).__name__}: {error}\n{text}")


def _send(pipe: BinaryIO | Any, message: Any) -> None:
    data = pickle.dumps(message)
    pipe.write(_LENGTH.pack(len(data)) + data)
    pipe.flush()


def _receive(pipe: BinaryIO | Any) -> Any:
    return pickle.loads(_exactly(pipe, *_LENGTH.unpack(_exactly(pipe, _LENGTH.size))))


def _exactly(pipe: BinaryIO | Any, n: int) -> bytes:
    data = pipe.read(n)
    if data is None or len(data) < n:
        raise EOFError
    return bytes(data)


class _Dask:
    """The workers of a Dask cluster."""

    keeps = False  # another machine may not see the folder

    def __init__(self, study: Study, cluster: Any) -> None:
        try:
            from distributed import Client
        except ImportError as error:
            raise StudyError("cluster= needs Dask: pip install designtwin[cluster]") from error
        self._own = not isinstance(cluster, Client)
        try:
            self._client = Client(cluster, timeout="30s") if self._own else cluster
        except (OSError, ValueError, TypeError) as error:
            raise StudyError(f"no Dask scheduler answers at cluster={cluster!r}: {error}") from error
        blob = packed(study)
        self._name = hashlib.sha256(blob).hexdigest()[:16]
        # A task and not scattered data: what a dead worker held is made again elsewhere.
        self._blob = self._client.submit(_same, blob, key=f"designtwin-study-{self._name}")

    def map(self, designs: list[dict[str, float]], purpose: str) -> Iterator[tuple[int, Evaluation]]:
        from concurrent.futures import CancelledError

        from distributed import wait
        from distributed.scheduler import KilledWorker

        futures = [
            self._client.submit(_on_cluster, self._name, self._blob, values, purpose, pure=False)
            for values in designs
        ]
        number = {future.key: i for i, future in enumerate(futures)}
        open_ = set(futures)
        try:
            while open_:
                try:
                    done = wait(list(open_), timeout=_ALONE, return_when="FIRST_COMPLETED").done
                except TimeoutError:  # long designs; or nobody to make them, for which Dask waits forever
                    if not self._client.scheduler_info()["workers"]:
                        raise self._gone(f"has had no worker for {_ALONE:.0f} s", designs, open_) from None
                    continue
                open_ -= done
                for future in done:
                    i = number[future.key]
                    error = future.exception()
                    if isinstance(error, KilledWorker):
                        yield i, _lost(designs[i], purpose, f"the cluster gave it up: {error}")
                    elif isinstance(error, StudyError):
                        raise error
                    elif error is not None:
                        kind = type(error).__name__
                        raise StudyError(f"a worker of the cluster failed with {kind}: {error}")
                    else:
                        yield i, future.result()
        except (CancelledError, OSError) as error:
            raise self._gone("is gone", designs, open_) from error
        finally:
            with contextlib.suppress(CancelledError, OSError):
                self._client.cancel([future for future in futures if not future.done()])

    @staticmethod
    def _gone(what: str, designs: list[dict[str, float]], open_: set[Any]) -> StudyError:
        return StudyError(
            f"the Dask cluster {what}; {len(designs) - len(open_)} of {len(designs)} designs were finished, "
            "and those that a store= keeps are not analyzed again: mend the cluster and make the same call"
        )

    def close(self) -> None:
        if self._own:
            self._client.close()


_studies: dict[str, Any] = {}
_one_at_a_time = threading.Lock()


def _same(blob: bytes) -> bytes:
    return blob


def _on_cluster(name: str, blob: bytes, values: dict[str, float], purpose: str) -> Evaluation:
    from distributed import get_worker

    threads = int(get_worker().state.nthreads)
    with _one_at_a_time, parallel.use_threads(threads):
        if name not in _studies:
            _studies.clear()  # one study at a time is held
            _studies[name] = pickle.loads(blob)
        evaluation: Evaluation = _studies[name].analyze(values, purpose=purpose)
        return evaluation


def run_variants(
    study: Study, designs: Sequence[Design], *, workers: int | None = None, cluster: Any = None,
    purpose: str = "sample",
) -> list[Evaluation]:  # fmt: skip
    """Evaluations of designs in their order: those of the store, and the others analyzed side by side.

    Designs that failed before are tried again, once per call.
    """
    store = study.open_store()
    try:
        known = [store.find(values) for values in designs]
        first: dict[tuple[tuple[str, float], ...], int] = {}
        for i, (values, found) in enumerate(zip(designs, known, strict=True)):
            if found is None or found.failure:
                first.setdefault(tuple(sorted(values.items())), i)
        todo = list(first.values())
        with track(f"{study.name}: {len(designs)} variants", total=len(designs)) as progress:
            progress.advance(len(designs) - len(todo))
            for evaluation in _analysed(study, [designs[i] for i in todo], store, workers, cluster, purpose):
                progress.advance(1.0, _words(study, evaluation))
        # Read back, so that what is told is what the store holds.
        return [_found(store, values) for values in designs]
    finally:
        store.close()


def _analysed(
    study: Study, designs: Sequence[Design], store: Store, workers: int | None, cluster: Any, purpose: str
) -> Iterator[Evaluation]:  # fmt: skip
    """Evaluations as they are finished, kept in the store; here first, as long as workers would not pay."""
    done = 0
    if workers is None and cluster is None:
        here = Workers(study, workers=1, store=store)
        for _, evaluation in here.map(designs, purpose=purpose):
            yield evaluation
            done += 1
            if evaluation.seconds * (len(designs) - done) > _WORTH:
                break
    if done < len(designs):
        left = designs[done:]
        with Workers(study, workers=workers, cluster=cluster, store=store, at_most=len(left)) as pool:
            for _, evaluation in pool.map(left, purpose=purpose):
                yield evaluation


def _found(store: Store, values: Design) -> Evaluation:
    found = store.find(values)
    assert found is not None
    return found


def _words(study: Study, evaluation: Evaluation) -> str:
    return ", ".join(
        f"{name} {study.variables[name].text(value)}" if name in study.variables else f"{name} {value:.4g}"
        for name, value in evaluation.values.items()
    )
