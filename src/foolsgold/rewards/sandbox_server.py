"""The fork server inside the sandbox: starts each job in namespaces of its own, watches it, and tells what came out.

Runs on the standard library alone, as the one program of a bubblewrap, and knows nothing of foolsgold. It reads
requests from standard input and writes frames to standard output. What belongs to a job goes through buffers that are
wiped before the next job is forked, so that no job finds another's source, tests or answers in its memory.
"""

import contextlib
import ctypes
import gc
import mmap
import os
import resource
import select
import shutil
import signal
import struct
import sys
import tempfile
import time

import sandbox_candidate
import sandbox_judge
from sandbox_wire import END, FRAME, PATIENCE, READY, REQUEST

JUDGED = {0: b"ended", sandbox_judge.FLOOD: b"output", sandbox_judge.MEMORY: b"memory"}
"""Status by the judge's exit code."""
NOTE = 256
"""Bytes: one for each of two processes, then a message."""
TICK = 0.05
"""Seconds between looks at what the job's processes use."""
SPARE = 200
"""Descriptors from here on are never in use."""
UID = 1000
"""Of jobs, inside their namespaces."""

NEW_USER, NEW_PID, NEW_MOUNT = 0x10000000, 0x20000000, 0x00020000
NO_SUID, NO_DEVICES, READ_ONLY = 2, 4, 1
SET_SECCOMP, FILTER = 22, 2
CAPABILITIES_V3 = 0x20080522


def main():
    isolated = sys.argv[1] == "isolated"
    del sys.path[0], sys.argv[1:]  # this folder is no place for a job's imports
    confine = Confinement() if isolated else None
    gc.collect()
    gc.freeze()  # or the first collection in each job would copy every page
    os.write(1, READY)
    server = Server(confine)
    while header := read_exactly(0, REQUEST.size):
        server.serve(*REQUEST.unpack(header))


class Confinement:
    """Namespaces, capabilities and the system-call filter of jobs."""

    def __init__(self):
        libc = ctypes.CDLL(None, use_errno=True)
        names = ("unshare", "setns", "mount", "capset", "prctl")
        self.calls = {name: getattr(libc, name) for name in names}  # looked up once, not in each child
        with open(os.path.join(os.path.dirname(__file__), "filter.bpf"), "rb") as file:
            program = file.read()
        self.program = ctypes.create_string_buffer(program, len(program))
        self.filter = struct.pack("@HP", len(program) // 8, ctypes.addressof(self.program))
        # To make a PID namespace for each job from one process, that process must be in one that it owns.
        outside = os.getuid(), os.getgid()
        self.call("unshare", NEW_USER | NEW_PID | NEW_MOUNT)
        map_user(*outside)
        server = os.fork()
        if server:
            os._exit(os.waitstatus_to_exitcode(os.waitpid(server, 0)[1]) & 255)
        self.own = os.open("/proc/self/ns/pid", os.O_RDONLY)
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")  # where the machine runs out of memory, jobs go first

    def call(self, name, *arguments):
        if self.calls[name](*arguments) == -1:
            error = ctypes.get_errno()
            raise OSError(error, f"{name}: {os.strerror(error)}")

    def fork(self):
        """Fork a child that is the init of a new PID namespace: when it ends, the kernel ends all that is in there."""
        self.call("unshare", NEW_PID)
        pid = os.fork()
        if pid:
            self.call("setns", self.own, NEW_PID)
        return pid

    def enter(self, disk):
        """In the child: a user and mounts of its own, /tmp new and empty, /proc hidden."""
        self.call("unshare", NEW_USER | NEW_MOUNT)
        map_user(UID, UID)
        flags = NO_SUID | NO_DEVICES
        options = f"size={disk},nr_inodes=4096,mode=700".encode()
        self.call("mount", b"tmpfs", b"/tmp", b"tmpfs", flags, options)
        self.call("mount", b"tmpfs", b"/proc", b"tmpfs", flags | READ_ONLY, b"size=4k,nr_inodes=2")
        os.chdir("/tmp")

    def lock(self):
        """Give up what is left of privileges, for good."""
        self.call("capset", struct.pack("<Ii", CAPABILITIES_V3, 0), bytes(24))
        self.call("prctl", SET_SECCOMP, FILTER, self.filter)


def map_user(uid, gid):
    """Map UID of the new user namespace to `uid` of the one around it."""
    for name, text in (("setgroups", "deny"), ("uid_map", f"{UID} {uid} 1"), ("gid_map", f"{UID} {gid} 1")):
        file = os.open(f"/proc/self/{name}", os.O_WRONLY)
        os.write(file, text.encode())
        os.close(file)


class Server:
    """Runs one job after the other."""

    def __init__(self, confinement):
        self.confinement = confinement
        self.null = os.open("/dev/null", os.O_RDWR)
        self.buffer = bytearray(1 << 16)
        self.touched = 0
        """Bytes of the buffer that hold something of the job's."""
        self.others = set(processes()) if confinement else set()
        self.baseline = used(self.others)[1] // max(1, len(self.others))
        self.note = mmap.mmap(-1, NOTE)
        """Shared with each process until its program runs: that it is locked in, or why it could not be."""
        self.running: set[int] = set()
        self.ended: dict[int, int] = {}
        """Exit codes of the job's processes; negative for a signal."""
        self.woken, woken = os.pipe()
        for end in (self.woken, woken):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)

    def serve(self, kind, cpu, wall, memory, count, files, output, disk, known, secret):
        """Run one job to its end, and say what came of it."""
        began = time.monotonic()
        self.limits = {
            resource.RLIMIT_CPU: int(cpu) + 2,  # a second line: `watch` counts what all processes use together
            resource.RLIMIT_AS: memory,
            resource.RLIMIT_NOFILE: files,
            resource.RLIMIT_FSIZE: disk,
            resource.RLIMIT_CORE: 0,
        }
        if self.confinement:
            self.limits[resource.RLIMIT_NPROC] = count
        self.disk = disk
        self.folder = "" if self.confinement else tempfile.mkdtemp()
        self.running.clear()
        self.ended.clear()
        self.note[:] = bytes(NOTE)
        start = {b"p": self.start_program, b"c": self.start_calls, b"t": self.start_tests}[kind]
        candidate, lead = start(known, secret)
        # What a judge says is ours, and is not counted.
        status = self.watch(lead, wall, cpu, memory, sys.maxsize if kind == b"t" else output)
        code = self.ended.get(lead, 0)
        sides = dict.fromkeys((candidate, lead))
        if status == b"ended" and any(pid in self.ended and not self.note[at] for at, pid in enumerate(sides)):
            status = b"failed"
            write_all(FRAME.pack(b"e", NOTE - 2) + self.note[2:])
        elif status == b"ended" and kind == b"t":
            status = JUDGED.get(code, b"died")
            if code == sandbox_judge.GONE and self.ended.get(candidate) == -signal.SIGXCPU:
                status = b"timeout"
        elif status == b"ended" and code < 0:
            status = b"timeout" if code == -signal.SIGXCPU else b"died"
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)
        write_all(FRAME.pack(b".", END.size) + END.pack(status, code, time.monotonic() - began))

    def start_program(self, known, secret):
        (out, out_end), (err, err_end) = os.pipe(), os.pipe()
        self.streams = {out: b"o", err: b"e"}
        pid = self.start(sandbox_candidate.program, known, [self.null, out_end, err_end])
        return pid, pid

    def start_calls(self, known, secret):
        answers, answers_end = os.pipe()
        self.streams = {answers: b"v"}
        pid = self.start(sandbox_candidate.calls, known, [*[self.null] * 4, answers_end])
        return pid, pid

    def start_tests(self, known, secret):
        """The candidate first: what the judge is to know is not in this process yet."""
        (asked, asked_end), (answers, answers_end), (verdicts, verdicts_end) = os.pipe(), os.pipe(), os.pipe()
        self.streams = {verdicts: b"v"}
        nulls = [self.null] * 3
        candidate = self.start(sandbox_candidate.answer, known, [*nulls, asked, answers_end])
        return candidate, self.start(sandbox_judge.judge, secret, [*nulls, answers, asked_end, verdicts_end])

    def start(self, body, length, files):
        """Start a process that runs `body` on the next `length` bytes of the request; returns its number.

        Its descriptors 0, 1, ... are `files`, which are closed here.
        """
        place = len(self.running)
        payload = read_exactly(0, length)
        pid = self.confinement.fork() if self.confinement else os.fork()
        if pid == 0:
            try:
                self.prepare(files)
                self.note[place] = 1
                self.note.close()  # the program is not to write there
                body(payload)
            except OSError as error:
                if not self.note.closed:
                    self.note[2:] = str(error).encode()[: NOTE - 2].ljust(NOTE - 2, b"\0")
            finally:
                os._exit(1)
        payload[:] = bytes(length)
        for file in {*files} - {self.null}:
            os.close(file)
        self.running.add(pid)
        return pid

    def prepare(self, files):
        """In the child: give up all that the job is not to have."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()  # a process group is signalled across PID namespaces, and the server's is not the job's
        settle(files)
        if self.confinement:
            self.confinement.enter(self.disk)
        else:
            os.chdir(self.folder)
        for what, limit in self.limits.items():
            resource.setrlimit(what, (limit, limit))
        if self.confinement:
            self.confinement.lock()

    def watch(self, lead, wall, cpu, memory, room):
        """Hand on what the job says, `room` bytes at most, until `lead` ends; returns the status.

        Nothing of the job is left then. Where it wants to run and the machine has no time for it, it gets more of the
        clock: a crowded machine is not the program's fault.
        """
        poller = select.poll()
        poller.register(0, 0)  # only its end: who asked is gone, and so are we
        for file in (self.woken, *self.streams):
            poller.register(file, select.POLLIN)
        status, began = b"ended", time.monotonic()
        tick, latest = began + TICK, began + PATIENCE * wall
        deadline = began + wall
        while lead in self.running and status == b"ended":
            now = time.monotonic()
            if now >= tick:
                tick = now + TICK
                status, waiting = self.spent(cpu, memory)
                if deadline <= tick < latest and waiting:
                    deadline = tick + TICK
            if now >= deadline:
                status = b"timeout"
            for file, _ in poller.poll(max(0.0, min(deadline, tick) - now) * 1000 + 1):
                if file == 0:
                    self.finish()
                    sys.exit()
                elif file == self.woken:
                    self.reap()
                else:
                    room = self.relay(file, room)
                    if file not in self.streams:
                        poller.unregister(file)
                    if room < 0:
                        status = b"output"
        if self.running and self.ended.get(lead) == sandbox_judge.GONE:
            select.select([self.woken], [], [], 4 * TICK)  # the candidate's end is what the judge has seen
            self.reap()
        self.finish()
        for file in [*self.streams]:
            os.set_blocking(file, False)  # all writers are dead; unconfined, one may have got away
            with contextlib.suppress(BlockingIOError):
                while file in self.streams and room >= 0:
                    room = self.relay(file, room)
        if room < 0 and status == b"ended":
            status = b"output"
        for file in self.streams:
            os.close(file)
        self.buffer[: self.touched] = bytes(self.touched)
        self.touched = 0
        return status

    def relay(self, file, room):
        """Hand on a piece of a stream; returns how many bytes more may come, below 0 where it was too much."""
        length = os.readv(file, [self.buffer])
        self.touched = max(self.touched, length)
        if length == 0:
            os.close(file)
            del self.streams[file]
        elif (shown := min(length, room)) > 0:
            write_all(FRAME.pack(self.streams[file], shown))
            write_all(memoryview(self.buffer)[:shown])
        return room - length

    def spent(self, cpu, memory):
        """The status that what the job's processes have used so far gives it, and whether one would run if it could."""
        mine = set(processes()) - self.others if self.confinement else set()
        seconds, size, waiting = used(mine)
        if seconds > cpu:
            return b"timeout", waiting
        return b"memory" if size - len(mine) * self.baseline > memory else b"ended", waiting

    def reap(self):
        """Note which processes have ended, and how."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.woken, 1 << 10)
        for pid in [*self.running]:
            ended, status, use = os.wait4(pid, os.WNOHANG)
            if ended:
                self.running.discard(pid)
                code = os.waitstatus_to_exitcode(status)
                # The first process of a namespace is spared the signal for too much processor time, but not the end.
                late = code == -signal.SIGKILL and use.ru_utime + use.ru_stime >= self.limits[resource.RLIMIT_CPU]
                self.ended[pid] = -signal.SIGXCPU if late else code

    def finish(self):
        """End the job's processes; with the first one of a PID namespace the kernel ends all others."""
        for pid in [*self.running, *self.ended] if not self.confinement else []:
            with contextlib.suppress(OSError):
                os.killpg(pid, signal.SIGKILL)
        for pid in self.running:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self.running.clear()


def settle(files):
    """Make `files` the descriptors 0, 1, ... and close all others."""
    for place, file in enumerate(files):
        os.dup2(file, SPARE + place)
    for place in range(len(files)):
        os.dup2(SPARE + place, place)
    os.closerange(len(files), 1 << 16)


def processes():
    """Of this sandbox, by the numbers they have in it."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def used(pids):
    """Seconds of processor and bytes of memory of processes, ended children included, and whether one is runnable."""
    seconds, pages, runnable = 0.0, 0, False
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue  # it has ended
        seconds += sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
        pages += int(fields[21])
        runnable = runnable or fields[0] in (b"R", b"D")
    return seconds, pages * resource.getpagesize(), runnable


def read_exactly(file, length):
    """The next `length` bytes, empty at the end of the file. They are nowhere else in this process."""
    found = bytearray(length)
    view = memoryview(found)
    while view:
        n = os.readv(file, [view])
        if n == 0:
            return bytearray()
        view = view[n:]
    return found


def write_all(data):
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


if __name__ == "__main__":
    main()
