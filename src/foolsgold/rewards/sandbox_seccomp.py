"""The system calls that a program in the sandbox has no use for."""

from __future__ import annotations

import errno
import tempfile
from functools import cache

from foolsgold.errors import UserError

# The network (a socketpair stays: it reaches nobody else, and asyncio needs one); other processes' memory and
# descriptors; namespaces and mounts; memory that no limit counts; large and seldom used parts of the kernel; the
# machine.
REFUSED = """
socket connect bind listen accept accept4
ptrace process_vm_readv process_vm_writev process_madvise kcmp pidfd_getfd
unshare setns mount umount2 pivot_root chroot move_mount open_tree mount_setattr fsopen fsconfig fsmount fspick
memfd_create memfd_secret shmget shmat shmctl semget semop semctl semtimedop msgget msgsnd msgrcv msgctl mq_open
mlock mlock2 mlockall
bpf keyctl add_key request_key userfaultfd perf_event_open io_uring_setup io_uring_enter io_uring_register
fanotify_init fanotify_mark open_by_handle_at name_to_handle_at lookup_dcookie modify_ldt vmsplice seccomp
landlock_create_ruleset personality quotactl quotactl_fd
init_module finit_module delete_module kexec_load kexec_file_load reboot swapon swapoff acct syslog
settimeofday clock_settime clock_adjtime adjtimex sethostname setdomainname iopl ioperm mknod mknodat
"""
NAMESPACES = 0x7E020000
"""All CLONE_NEW flags."""


@cache
def refusing_filter() -> bytes:
    """BPF that refuses `REFUSED` with EPERM, and clone where it makes a namespace; another architecture's calls kill.

    Raises:
      UserError: pyseccomp or libseccomp is missing.
    """
    try:
        import pyseccomp
    except (ImportError, OSError, RuntimeError) as error:
        raise UserError(
            "the sandbox filters system calls with pyseccomp and libseccomp: pip install foolsgold[verifiers] and "
            "apt install libseccomp2"
        ) from error
    refuse = pyseccomp.ERRNO(errno.EPERM)
    wanted = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    wanted.set_attr(pyseccomp.Attr.CTL_OPTIMIZE, 2)  # a search tree: each call of each job goes through it
    for name in REFUSED.split():
        if pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name) >= 0:
            wanted.add_rule(refuse, name)
    for flag in (1 << bit for bit in range(32) if NAMESPACES >> bit & 1):
        wanted.add_rule(refuse, "clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, flag, flag))
    # The flags of clone3 are in memory, where no filter sees them; where it is missing, the C library uses clone.
    wanted.add_rule(pyseccomp.ERRNO(errno.ENOSYS), "clone3")
    with tempfile.TemporaryFile() as file:
        wanted.export_bpf(file)
        file.seek(0)
        return file.read()
