# SPDX-License-Identifier: LGPL-2.1-or-later
"""The library in a process of its own, for what bn has no words for and for verbs side by side."""
import json
import os
import pathlib
import select
import subprocess
import sys

from topology import BUILD, sanitizer_of

VERBS = pathlib.Path(__file__).resolve().parent / "fixtures/verbs.py"
DELETE_ENDPOINTS = 0x2
DETACH_QUICK = 0x2
DETACH_ASYNC = 0x8
HOLD_PORTS = 0x1
REPAIR_PLAN = 0x1
REPAIR_REMOVE_UNKNOWN = 0x2


def environment():
    library = os.path.join(BUILD, ".libs", "libbridgenet.so.0")
    return dict(os.environ, BRIDGENET_LIBRARY=library, **sanitizer_of(library))


class Failed(AssertionError):
    """errno is positive, `log` what the library had to say besides."""

    def __init__(self, answer):
        super().__init__(answer["error"])
        self.errno = answer["errno"]
        self.seconds = answer["seconds"]
        self.log = answer["log"]


class Library:
    """A context in the host of a topology. `prefix` is what its process is started by."""

    def __init__(self, net, backend, options=None, timeout_ms=0, prefix=()):
        context = {"state": net.state, "backend": backend, "options": options or {},
                   "timeout_ms": timeout_ms}
        self.process = net.host.popen(*prefix, sys.executable, str(VERBS), json.dumps(context),
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                      env=environment())
        self.answer()

    def ask(self, verb, network, endpoint, **arguments):
        """Have it begin; answer() waits for the end."""
        request = {"verb": verb, "network": network, "endpoint": endpoint, **arguments}
        print(json.dumps(request), file=self.process.stdin, flush=True)

    def has_answered(self):
        return bool(select.select([self.process.stdout], [], [], 0)[0])

    def answer(self):
        answer = json.loads(self.process.stdout.readline() or '{"error": "it died", "errno": 0, '
                                                              '"seconds": 0, "log": []}')
        if "error" in answer:
            raise Failed(answer)
        return answer

    def attach(self, network, endpoint, namespace, **arguments):
        """The namespace may be a path as well."""
        path = getattr(namespace, "path", namespace)
        self.ask("attach", network, endpoint, path=path, **arguments)
        return self.answer()

    def attach_all(self, namespace, *networks, endpoint="c1", flags=0, **each):
        """Endpoints of that name on networks, with what is said of each in `each`."""
        specs = [{"network": network, "endpoint": endpoint, "path": namespace.path,
                  **each.get(network, {})} for network in networks]
        self.ask("attach_all", None, None, specs=specs, flags=flags)
        return self.answer()["endpoints"]

    def detach(self, network, endpoint, **arguments):
        self.ask("detach", network, endpoint, **arguments)
        return self.answer()

    def delete(self, network, **arguments):
        self.ask("delete", network, None, **arguments)
        return self.answer()

    def publish(self, network, endpoint, port, **arguments):
        self.ask("publish", network, endpoint, port=port, **arguments)
        return self.answer()

    def unpublish(self, network, endpoint, port):
        self.ask("unpublish", network, endpoint, port=port)
        return self.answer()

    def check(self, network=None, endpoint=None):
        """A dictionary for each finding."""
        self.ask("check", network, endpoint)
        return self.answer()["findings"]

    def repair(self, network=None, endpoint=None, flags=0):
        self.ask("repair", network, endpoint, flags=flags)
        return self.answer()["findings"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
