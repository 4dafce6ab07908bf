"""The fork server inside the sandbox: starts each job in namespaces of its own, watches it, and tells what came out.

Runs on the standard library alone, as the one program of a bubblewrap, and knows nothing of foolsgold. It reads
requests from standard input and writes frames to standard output. What belongs to a job goes through buffers that are
wiped before the next job is forked, so that no job finds another's source, tests or answers in its memory.
"""

import contextlib
import ctypes
import gc
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
from sandbox_wire import END, FRAME, READY, REQUEST

JUDGED = {0: b"ended", sandbox_judge.FLOOD: b"output", sandbox_judge.MEMORY: b"memory"}
"""Status by the judge's exit code."""
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
        self.libc = ctypes.CDLL(None, use_errno=True)
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
        if getattr(self.libc, name)(*arguments) == -1:
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


class Member:
    """One side of a job: an init and, under it, the process that does the work."""

    def __init__(self, pid, report):
        self.pid = pid
        self.report = report
        self.ended = None
        """The exit code, once it has ended; negative for a signal."""

    def hear(self):
        """Its init has told how the work ended, or is dead."""
        told = os.read(self.report, 4)
        self.ended = os.waitstatus_to_exitcode(struct.unpack("<i", told)[0]) if told else -signal.SIGKILL

    def end(self):
        """Nothing of it is left when this returns."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.report)


class Server:
    def __init__(self, confinement):
        self.confinement = confinement
        self.null = os.open("/dev/null", os.O_RDWR)
        self.buffer = bytearray(1 << 16)
        self.others = set(processes()) if confinement else set()
        self.baseline = used(self.others)[1] // max(1, len(self.others))

    def serve(self, kind, cpu, wall, memory, count, files, output, disk, known, secret):
        """Run one job to its end."""
        began = time.monotonic()
        self.limits = {
            resource.RLIMIT_CPU: int(cpu) + 2,  # a second line: `watch` counts what all processes use together
            resource.RLIMIT_AS: memory,
            resource.RLIMIT_NOFILE: files,
            resource.RLIMIT_FSIZE: disk,
            resource.RLIMIT_CORE: 0,
        }
        if self.confinement:
            self.limits[resource.RLIMIT_NPROC] = count + 1  # and its init
        self.disk = disk
        self.folder = None if self.confinement else tempfile.mkdtemp()
        started = self.start_tests if kind == b"t" else self.start_calls if kind == b"c" else self.start_program
        payload = read_exactly(0, known)
        members = started(payload, secret)
        status = self.watch(members, began + wall, cpu, memory, output)
        code = members[-1].ended or 0
        if status == b"ended" and len(members) == 2:
            status = JUDGED.get(code, b"died")
            if code == sandbox_judge.GONE and members[0].ended == -signal.SIGXCPU:
                status = b"timeout"
        elif status == b"ended" and code < 0:
            status = b"timeout" if code == -signal.SIGXCPU else b"died"
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)
        os.write(1, FRAME.pack(b".", END.size) + END.pack(status, code, time.monotonic() - began))

    def start_program(self, payload, secret):
        (out, out_end), (err, err_end) = os.pipe(), os.pipe()
        self.streams = {out: b"o", err: b"e"}
        return [self.start(sandbox_candidate.program, payload, [self.null, out_end, err_end])]

    def start_calls(self, payload, secret):
        values, values_end = os.pipe()
        self.streams = {values: b"v"}
        null = self.null
        return [self.start(sandbox_candidate.calls, payload, [null, null, null, null, values_end])]

    def start_tests(self, payload, secret):
        """The candidate first: what the judge is to know is not in this process yet."""
        (asked, asked_end), (answers, answers_end), (verdicts, verdicts_end) = os.pipe(), os.pipe(), os.pipe()
        self.streams = {verdicts: b"v"}
        null = self.null
        candidate = self.start(sandbox_candidate.answer, payload, [null, null, null, asked, answers_end])
        payload = read_exactly(0, secret)
        judge = self.start(sandbox_judge.judge, payload, [null, null, null, answers, asked_end, verdicts_end])
        return [candidate, judge]

    def start(self, body, payload, files):
        """Start a member that runs `body(payload)` with `files` as its descriptors 0, 1, ...; they are closed here."""
        report, report_end = os.pipe()
        pid = self.confinement.fork() if self.confinement else os.fork()
        if pid == 0:
            try:
                self.be_init(body, payload, files, report_end)
            except BaseException as error:
                os.write(2, f"sandbox server: {error!r}\n".encode())
            finally:
                os._exit(1)
        payload[:] = bytes(len(payload))
        for file in {*files, report_end} - {self.null}:
            os.close(file)
        return Member(pid, report)

    def be_init(self, body, payload, files, report):
        if self.confinement:
            self.confinement.enter(self.disk)
        else:
            os.setpgid(0, 0)
            os.chdir(self.folder)
        worker = os.fork()
        if worker == 0:
            settle(files)
            for what, limit in self.limits.items():
                resource.setrlimit(what, (limit, limit))
            if self.confinement:
                self.confinement.lock()
            body(payload)
            os._exit(0)
        settle([self.null, self.null, self.null, report])
        while True:
            pid, status = os.wait()
            if pid == worker:
                os.write(3, struct.pack("<i", status))
                os._exit(0)

    def watch(self, members, deadline, cpu, memory, output):
        """Hand on what the job says until its last member ends; returns the status.  Nothing of it is left then."""
        lead = members[-1]
        poller = select.poll()
        poller.register(0, 0)  # closed by the other side: it is gone, and so are we
        for file in [*self.streams, *(member.report for member in members)]:
            poller.register(file, select.POLLIN)
        status, tick = b"ended", time.monotonic() + TICK
        while lead.ended is None and status == b"ended":
            now = time.monotonic()
            if now >= deadline:
                status = b"timeout"
                break
            if now >= tick:
                tick = now + TICK
                status = self.spent(cpu, memory)
            for file, _ in [] if status != b"ended" else poller.poll(max(0, min(deadline, tick) - now) * 1000 + 1):
                if file == 0:
                    self.finish(members)
                    sys.exit()
                elif file in self.streams:
                    output = self.relay(file, output, poller)
                    if output < 0:
                        status = b"output"
                else:
                    member = next(member for member in members if member.report == file)
                    member.hear()
                    poller.unregister(file)
        if lead.ended == sandbox_judge.GONE and members[0].ended is None and readable(members[0].report):
            members[0].hear()  # its end is what the judge has seen
        self.finish(members)
        for file in list(self.streams):  # all writers are dead
            while file in self.streams and output >= 0:
                output = self.relay(file, output)
        if output < 0 and status == b"ended":
            status = b"output"
        for file in self.streams:
            os.close(file)
        self.buffer[:] = bytes(len(self.buffer))
        return status

    def relay(self, file, room, poller=None):
        """Hand on one piece of a stream; returns how many bytes more may come, below 0 where it was too much."""
        n = os.readv(file, [self.buffer])
        if n == 0:
            if poller:
                poller.unregister(file)
            os.close(file)
            del self.streams[file]
            return room
        shown = min(n, room)
        if shown > 0:
            # `self.streams` names the stream; what is in the buffer is never copied here
            write_all(FRAME.pack(self.streams[file], shown))
            write_all(memoryview(self.buffer)[:shown])
        return room - n

    def spent(self, cpu, memory):
        """The status that what the job's processes have used so far gives it."""
        if not self.confinement:
            return b"ended"
        mine = set(processes()) - self.others
        seconds, size = used(mine)
        if seconds > cpu:
            return b"timeout"
        return b"memory" if size - len(mine) * self.baseline > memory else b"ended"

    def finish(self, members):
        for member in members:
            if not self.confinement:
                with contextlib.suppress(OSError):
                    os.killpg(member.pid, signal.SIGKILL)
            member.end()


def readable(file):
    """Whether there is something to read within a short while."""
    return bool(select.select([file], [], [], 4 * TICK)[0])


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
    """Seconds of processor and bytes of memory of processes, children that have ended included."""
    seconds, pages = 0.0, 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue  # it has ended
        seconds += sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
        pages += int(fields[21])
    return seconds, pages * resource.getpagesize()


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
