"""The bytes between a fork server and the one who asks it. Also runs inside the sandbox, on the standard library."""

import struct

READY = b"ready"
"""What a server says once."""
REQUEST = struct.Struct("<cddQQQQQQQ")
"""Kind of job (p, t, c), seconds of processor and of the clock, bytes of memory, processes, files, bytes of output and
of disk, lengths of what the candidate and of what the judge is to know; both follow."""
FRAME = struct.Struct("<cQ")
"""A stream (o, e: standard output and error; v: values or verdicts; a point: END, the last one) and the length of the
piece of it that follows."""
END = struct.Struct("<10sid")
"""Status (of `sandbox_jobs`, or failed: the job could not be locked in), exit code (negative: a signal), seconds."""
PATIENCE = 5
"""Times its limit of the clock that a job gets at most, on a machine too crowded to run it."""
