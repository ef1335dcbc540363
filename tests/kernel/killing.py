# SPDX-License-Identifier: LGPL-2.1-or-later
"""bn under a tracer that kills it on its way into a system call."""
import collections
import re

from topology import KernelTest

# What changes the kernel or the state, and the waits for answers in between: a process killed on
# its way into the n-th of them has done all before it and nothing of it.
SENDS = ("sendto", "sendmsg", "setsockopt", "write")
STEPS = SENDS + ("getsockopt", "recvmsg", "recvfrom", "pwrite64", "unlink", "ftruncate")


class KillingTest(KernelTest):
    def traced(self, argv, *options):
        # one tracer at a time: the leak checker would be a second
        return self.host.run("strace", "-f", "-qq", "-E", "ASAN_OPTIONS=detect_leaks=0", *options,
                             *self.bn.argv(*argv), check=False)

    def kill(self, argv, call, n):
        """On its way into the n-th such call."""
        return self.traced(argv, "-o", "/dev/null", "-e", f"trace={call}", "-e",
                           f"inject={call}:signal=KILL:when={n}")

    def points(self, argv):
        """(system call, how many of it by one thread) of an undisturbed run."""
        log = f"{self.net.state}/trace"
        result = self.traced(argv, "-o", log, "-e", f"trace={','.join(STEPS)}")
        self.assertEqual(0, result.returncode, result.stderr)
        counts = collections.Counter()
        with open(log) as file:
            for line in file:
                match = re.match(r"(\d+) +(\w+)\(", line)
                if match:
                    counts[match[2], match[1]] += 1
        most = collections.Counter()
        for (call, _), count in counts.items():
            most[call] = max(most[call], count)
        for call, count in sorted(most.items()):
            every = range(1, count + 1)
            # the state's pages are written by the dozen: a sample of those, all of the others
            yield from ((call, n) for n in (every if call in SENDS else every[::1 + count // 8]))
