"""Programs that try to harm the machine, and what they get instead."""

import ast
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from foolsgold.rewards import sandbox_bubblewrap
from foolsgold.rewards.sandbox import Calls, Limits, Program, Sandbox, Tests, shared_sandbox

pytestmark = pytest.mark.skipif(sandbox_bubblewrap.find() is None, reason="bubblewrap is not installed")

SMALL = Limits(cpu_s=5, wall_s=20, memory_mb=128, disk_mb=4, output_bytes=10_000)
SHORT = Limits(cpu_s=0.2, wall_s=0.5)
CTYPES = "import ctypes, errno, os, time\nlibc = ctypes.CDLL(None, use_errno=True)\n"


def run(source, limits=SMALL):
    """The result of a program; the sandbox still works afterwards."""
    result, after = shared_sandbox().run([Program(source, limits=limits), Program("print('well')")])
    assert after.stdout == "well\n"
    return result


def printed(source, limits=SMALL):
    result = run(source, limits)
    assert (result.status, result.stderr) == ("ended", "")
    return result.stdout.splitlines()


# Taking too much


def test_a_fork_bomb_gets_no_more_processes_than_it_may_have():
    count = """
import os, time
made = 1
try:
    while True:
        if os.fork() == 0:
            time.sleep(9)
        made += 1
except OSError as error:
    print(made, type(error).__name__)
"""
    assert printed(count) == ["16 BlockingIOError"]
    assert run("import os\nwhile True:\n    try: os.fork()\n    except OSError: pass", SHORT).status == "timeout"


def test_threads_count_as_processes():
    source = """
import threading, time
made = 1
try:
    while True:
        threading.Thread(target=time.sleep, args=[9], daemon=True).start()
        made += 1
except RuntimeError as error:
    print(made, error)
"""
    assert printed(source, Limits()) == ["16 can't start new thread"]


def test_ten_gigabytes_end_in_a_memory_error():
    result = run("bytearray(10 << 30)")
    assert (result.status, result.exit_code) == ("memory", 1)
    source = "def f():\n    return len(bytearray(10 << 30))"
    tests, calls = shared_sandbox().run([Tests(source, "f", ["f()"]), Calls(source, "f", [[]])])
    assert (tests.status, tests.results) == ("memory", ["raised"])
    assert (calls.status, calls.returned[0].raised) == ("memory", "MemoryError")


def test_memory_of_all_processes_is_counted_together():
    source = "import os, time\nfor _ in range(3): os.fork()\nheld = b'1' * (60 << 20)\ntime.sleep(9)"
    assert run(source, Limits(memory_mb=128)).status == "memory"


def test_the_disk_fills_no_further_than_it_may_and_is_empty_for_the_next():
    source = """
import os
print(os.listdir("/tmp"))
written = 0
try:
    for i in range(100):
        with open(f"/tmp/{i}", "wb", buffering=0) as file:
            written += file.write(b"x" * 100_000)
except OSError as error:
    print(written <= 4 << 20, error.strerror)
"""
    for _ in range(3):
        assert printed(source) == ["[]", "True No space left on device"]
    assert printed(source.replace("100_000", "(10 << 20)")) == ["[]", "True No space left on device"]
    empty = (
        "i = 0\ntry:\n    while True: open(f'/tmp/{i}', 'w').close(); i += 1\nexcept OSError as e: print(e.strerror)"
    )
    assert printed(empty) == ["No space left on device"]


def test_endless_output_is_cut():
    for stream in ("stdout", "stderr"):
        result = run(f"import sys\nwhile True: sys.{stream}.write('x' * 1000)")
        assert result.status == "output"
        assert len(result.stdout + result.stderr) <= 10_000


def test_an_endless_answer_is_cut():
    source = "def f():\n    return 'x' * 20_000"
    calls, tests = shared_sandbox().run([Calls(source, "f", [[]], SMALL), Tests(source, "f", ["f()"], limits=SMALL)])
    assert (calls.status, calls.returned[0].raised) == ("output", "RuntimeError")
    assert (tests.status, tests.results) == ("output", ["raised"])


@pytest.mark.parametrize(
    "source",
    [
        "while True: pass",
        "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass",
        "import os\nfor _ in range(3): os.fork()\nwhile True: pass",
        "import os\nwhile True:\n    if os.fork(): os.wait()\n    else: os._exit(sum(range(10**6)) and 0)",
        "import time\ntime.sleep(9)",
        "import signal, os\nos.kill(0, signal.SIGSTOP)\nsignal.pause()",
        "10 ** 10 ** 8",
    ],
)
def test_endless_programs_end_in_time(source):
    began = time.monotonic()
    result = run(source, SHORT)
    assert (result.status, result.exit_code) == ("timeout", None)
    assert time.monotonic() - began < 10


def test_files_are_counted():
    source = "held = []\ntry:\n    while True: held.append(open('/dev/null'))\nexcept OSError as e: print(len(held), e)"
    assert printed(source) == ["61 [Errno 24] Too many open files: '/dev/null'"]


# Reading and writing what is not its own


def test_files_of_others_are_not_there(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("gold")
    secret.chmod(0o600)
    source = """
for path in {}:
    try:
        print(open(path).read())
    except OSError as error:
        print(error.strerror)
"""
    paths = ["/etc/shadow", "/etc/passwd", str(secret), __file__]
    assert printed(source.format(paths)) == ["No such file or directory"] * 4
    found = printed("import os\nprint(sorted(os.listdir('/')), os.listdir('/proc'), sorted(os.listdir('/dev')))")
    shown = {"usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc", "proc", "dev", "tmp", "sandbox"}
    root, proc, dev = ast.literal_eval("[" + found[0].replace("] [", "], [") + "]")
    own = set() if sandbox_bubblewrap.interpreter()[0] == [] else {Path(sys.base_prefix).parts[1]}
    assert set(root) <= shown | own
    assert (proc, dev) == ([], ["full", "null", "random", "urandom", "zero"])


def test_the_parents_environment_is_out_of_reach(monkeypatch):
    code = """
from foolsgold.rewards.sandbox import Program, Sandbox
with Sandbox(workers=1) as sandbox:
    source = "import os, glob; print(sorted(os.environ), glob.glob('/proc/*'), glob.glob('/dev/shm'))"
    print(sandbox.run([Program(source)])[0].stdout, end="")
"""
    environment = os.environ | {"API_KEY": "gold"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout == "['HOME', 'LANG', 'MALLOC_ARENA_MAX', 'PATH', 'PWD', 'PYTHONHASHSEED'] [] []\n"


def test_nothing_but_its_own_folder_can_be_written():
    source = """
import os
for folder in ["/", "/usr", "/usr/bin", "/etc", "/dev", "/proc", "/sandbox", "/tmp/.."]:
    try:
        open(folder + "/new", "w")
        print(folder)
    except OSError:
        pass
for folder in ["/", "/sandbox", "/usr/bin", "/usr/lib", "/etc", "/dev"]:
    for name in os.listdir(folder)[:100]:
        for change in (os.remove, os.rmdir, lambda path: os.rename(path, path + "x")):
            try:
                change(os.path.join(folder, name))
                print(folder, name)
            except OSError:
                pass
"""
    assert printed(source) == []


# Reaching others


def test_there_is_no_network():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        source = f"""
import socket, urllib.request
for attempt in (
    lambda: socket.create_connection(("127.0.0.1", {server.getsockname()[1]}), 1),
    lambda: socket.create_connection(("1.1.1.1", 53), 1),
    lambda: socket.socket(socket.AF_UNIX),
    lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    lambda: urllib.request.urlopen("http://93.184.216.34/", timeout=1),
):
    try:
        attempt()
        print("connected")
    except OSError as error:
        print(getattr(error, "reason", error).strerror)
"""
        assert printed(source) == ["Operation not permitted"] * 5
        with pytest.raises(BlockingIOError):
            server.accept()


def test_other_processes_cannot_be_seen_signalled_or_traced():
    source = f"""
import signal
print(os.getpid(), os.getppid())
for attempt in (lambda: os.kill(1, 9), lambda: os.kill(-1, 9), lambda: os.killpg(0, 9)):
    try:
        attempt()
        print("nobody but itself, who cannot be killed from within")
    except ProcessLookupError:
        print("nobody")
reached = []
for pid in [*range(2, 3000), {os.getpid()}]:
    try:
        os.kill(pid, 9)
        reached.append(pid)
    except ProcessLookupError:
        pass
print(reached)
for request in (0, 16, 0x4206):
    print(libc.ptrace(request, 1, 0, 0), errno.errorcode[ctypes.get_errno()])
"""
    itself = "nobody but itself, who cannot be killed from within"
    assert printed(CTYPES + source) == ["1 0", itself, "nobody", itself, "[]", *["-1 EPERM"] * 3]


def test_jobs_beside_each_other_do_not_meet():
    source = """
import os, signal, time
open("/tmp/mine", "w").close()
for _ in range(20):
    for pid in range(2, 40):
        try: os.kill(pid, 9)
        except ProcessLookupError: pass
    assert os.listdir("/tmp") == ["mine"]
    time.sleep(0.01)
print("alone")
"""
    with Sandbox(workers=3) as sandbox:
        assert [result.stdout for result in sandbox.run([Program(source)] * 9)] == ["alone\n"] * 9


def test_children_left_behind_end_with_the_job():
    source = (
        CTYPES
        + """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        libc.prctl(15, b"fg-left-behind")  # PR_SET_NAME
        print("started", flush=True)
        time.sleep(100)
    os._exit(0)
time.sleep(0.2)
"""
    )
    assert printed(source) == ["started"]
    names = []
    for path in Path("/proc").glob("[0-9]*/comm"):
        try:
            names.append(path.read_text().strip())
        except OSError:
            continue
    assert "python3" in names or names
    assert "fg-left-behind" not in names


# Gaining more than it was given


def test_privileges_cannot_be_gained():
    source = """
header, data = (ctypes.c_uint * 2)(0x20080522, 0), (ctypes.c_uint * 6)()
libc.capget(header, data)
print(os.getuid(), any(data), os.stat("/usr").st_uid)
attempts = {
    "setuid": (0,),
    "unshare": (0x10000000,),
    "setns": (0, 0),
    "mount": (b"none", b"/tmp", b"tmpfs", 0, 0),
    "umount2": (b"/proc", 2),
    "chroot": (b"/tmp",),
    "setresgid": (0, 0, 0),
    "personality": (0x0040000,),
}
for name, arguments in attempts.items():
    ctypes.set_errno(0)
    assert getattr(libc, name)(*arguments) == -1, name
    assert ctypes.get_errno() in (errno.EPERM, errno.EINVAL), name
numbers = {"x86_64": (56, 435, 321, 425, 298, 250, 319), "aarch64": (220, 435, 280, 425, 241, 219, 279)}
for number in numbers[os.uname().machine]:  # clone (new user), clone3, bpf, io_uring, perf events, keyctl, memfd
    assert libc.syscall(number, 0x10000000 | 17, 0, 0, 0, 0) == -1, number
    assert ctypes.get_errno() in (errno.EPERM, errno.ENOSYS), number
import resource
for what, more in ((resource.RLIMIT_NPROC, 1000), (resource.RLIMIT_AS, 1 << 40), (resource.RLIMIT_CPU, 1000)):
    try:
        resource.setrlimit(what, (more, more))
        print("raised", what)
    except (ValueError, PermissionError):
        pass
"""
    assert printed(CTYPES + source)[0] == "1000 False 65534"
    assert len(printed(CTYPES + source)) == 1


def test_nothing_of_an_earlier_job_is_left_in_memory():
    """The heap that a job inherits is searched, and what it holds itself is found there."""
    words = ["candidate", "secret", "answered"]
    filler = {word: f"{word}-" + "of-job-" * 500 for word in words}
    earlier = Tests(
        f"held = {filler['candidate']!r}\ndef f():\n    return {filler['answered']!r}",
        "f",
        ["assert f() == 'no'", f"assert held == {filler['secret']!r}"],
    )
    search = (
        CTYPES
        + """
own = ["-".join(["own", "of", "job", "of", "job"]) * 200 for _ in range(50)]
wanted = [b"-".join([word, b"of", b"job"]) for word in (b"own", b"candidate", b"secret", b"answered")]
found = set()
libc.sbrk.restype = ctypes.c_void_p
end = libc.sbrk(0)
at = end - (end % 4096 or 4096)
reading, writing = os.pipe()
write = libc.write
while write(writing, ctypes.c_void_p(at), 4096) == 4096:  # fails where nothing is mapped
    page = os.read(reading, 4096)
    found |= {word for word in wanted if word in page}
    at -= 4096
print(sorted(word.decode() for word in found))
"""
    )
    with Sandbox(workers=1) as sandbox:
        results = sandbox.run([earlier, earlier, Program(search)])
    assert (results[2].stdout, results[2].stderr) == ("['own-of-job']\n", "")
