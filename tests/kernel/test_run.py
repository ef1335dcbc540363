# SPDX-License-Identifier: LGPL-2.1-or-later
"""bn run and bn exec: a command with a network of its own, gone with the command."""
import os
import re
import signal
import subprocess
import sys
import unittest

import oracle
from topology import FAMILIES, KernelTest, for_each_backend, wait_until

WEB = (sys.executable, "-m", "http.server", "80", "--bind", "::", "--directory", "/usr/share")


@for_each_backend
class Run(KernelTest):
    def setUp(self):
        super().setUp()
        self.create(dual=True)
        self.pid_file = os.path.join(self.net.state, "pid")
        if os.path.exists(self.pid_file):
            os.unlink(self.pid_file)

    def tearDown(self):
        if os.path.exists(self.pid_file) and alive(self.command()):
            os.kill(self.command(), signal.SIGKILL)
        super().tearDown()

    def noting(self, *command):
        """The command, which leaves its process id in the file."""
        return ("sh", "-c", f'echo $$ >{self.pid_file}.new; mv {self.pid_file}.new '
                            f'{self.pid_file}; exec "$@"', "sh") + command

    def command(self):
        with open(self.pid_file) as file:
            return int(file.read())

    def start(self, *argv):
        process = self.bn.popen("run", "--network", "net", *argv, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)
        self.processes.append(process)
        return process

    def fetch_page(self, client, url):
        return client.run("curl", "-s", "-g", "-m", "3", "-o", "/dev/null", "-w",
                          "%{http_code} %{remote_ip}", url, check=False).stdout

    def served(self, port=8080):
        for family in FAMILIES:
            address = self.net.host_address(family)
            url = f"http://{address if family == 4 else f'[{address}]'}:{port}/"
            wait_until(lambda: self.fetch_page(self.remote, url) == f"200 {address}", what=url)
        self.assertEqual("200 127.0.0.1",
                         self.fetch_page(self.host, f"http://127.0.0.1:{port}/"))

    def gone(self):
        """No endpoint, link, rule or process, soon."""
        wait_until(lambda: not oracle.endpoints(self.bn), what="the endpoint gone")
        wait_until(lambda: not alive(self.command()), what="the command gone")
        self.assertEqual({}, self.oracle.ports())
        bridge = oracle.network(self.bn, "net")["bridge"]
        wait_until(lambda: not [name for name, link in self.host.links().items()
                                if link.get("master") == bridge], what="its link gone")

    def test_serves_a_page(self):
        process = self.start("--name", "web", "-p", "8080:80", "--", *self.noting(*WEB))
        self.served()
        shown = oracle.endpoint(self.bn, "net", "web")
        self.assertEqual([(8080, 80)], [(port["host_port"], port["container_port"])
                                        for port in shown["ports"]])
        process.terminate()
        process.wait(5)
        self.gone()

    def test_exit_status(self):
        for command, status in ((("true",), 0), (("sh", "-c", "exit 7"), 7),
                                (("sh", "-c", "kill -9 $$"), 137), (("/nonesuch",), 127),
                                (("/etc/passwd",), 126)):
            with self.subTest(command=command):
                result = self.bn.result("run", "--network", "net", "--", *command)
                self.assertEqual(status, result.returncode, result.stderr)
        self.assertEqual([], oracle.endpoints(self.bn))

    def test_streams(self):
        result = self.bn.result("run", "--network", "net", "--", "sh", "-c",
                                "cat; echo err >&2", stdin="in")
        self.assertEqual((0, "in", "err\n"), (result.returncode, result.stdout, result.stderr))

    def test_on_the_default_network(self):
        result = self.bn.result("run", "--", "ip", "-4", "-o", "addr", "show", "eth0")
        self.assertEqual((0, ""), (result.returncode, result.stderr))
        self.assertRegex(result.stdout, r"inet 172\.\d+\.0\.2/16")

    def test_a_namespace_of_its_own(self):
        result = self.bn.result("run", "--network", "net", "--", "ls", "/sys/class/net")
        self.assertEqual(["eth0", "lo"], sorted(result.stdout.split()))

    def test_none(self):
        result = self.bn.result("run", "--network", "none", "--", "ls", "/sys/class/net")
        self.assertEqual(["lo"], result.stdout.split())

    def test_host(self):
        """On the host's own network: its interfaces, nothing added."""
        before = self.net.host_state()
        result = self.bn.result("run", "--network", "host", "--", "ip", "-4", "-o", "addr")
        self.assertEqual((0, ""), (result.returncode, result.stderr))
        self.assertIn("192.0.2.1/24", result.stdout)
        self.assertEqual(before, self.net.host_state())

    def test_normal_end_cleans_up(self):
        result = self.bn.result("run", "--network", "net", "-p", "8080:80", "--",
                                *self.noting("true"))
        self.assertEqual(0, result.returncode, result.stderr)
        self.assertEqual([], oracle.endpoints(self.bn))
        self.gone()

    def test_however_it_ends(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL):
            with self.subTest(signal=number.name):
                process = self.start("-p", "8080:80", "--", *self.noting("sleep", "60"))
                wait_until(lambda: os.path.exists(self.pid_file), what="the command")
                self.assertEqual(1, len(oracle.endpoints(self.bn)))
                process.send_signal(number)
                process.wait(5)
                self.assertNotEqual(0, process.returncode)
                self.gone()
                os.unlink(self.pid_file)

    def test_command_killed(self):
        process = self.start("-p", "8080:80", "--", *self.noting("sleep", "60"))
        wait_until(lambda: os.path.exists(self.pid_file), what="the command")
        os.kill(self.command(), signal.SIGKILL)
        self.assertEqual(137, process.wait(5))
        self.gone()

    def test_detached(self):
        result = self.bn.result("run", "--network", "net", "--name", "web", "-d", "-p", "8080:80",
                                "--", *self.noting(*WEB))
        self.assertEqual((0, "web\n", ""), (result.returncode, result.stdout, result.stderr))
        self.served()
        os.kill(self.command(), signal.SIGTERM)
        self.gone()

    def test_detached_under_a_name_of_ours(self):
        names = [self.bn("run", "--network", "net", "-d", "--", "sleep", "60").strip()
                 for _ in range(2)]
        self.assertEqual(2, len(set(names)))
        self.assertEqual(sorted(names),
                         sorted(entry["endpoint"] for entry in oracle.endpoints(self.bn)))
        for name in names:
            self.bn("exec", "net", name, "--", "sh", "-c",
                    "for p in /proc/[0-9]*; do [ $p/ns/net -ef /proc/self/ns/net ] && "
                    "[ \"$(cat $p/comm)\" = sleep ] && kill ${p#/proc/}; done; true")
        wait_until(lambda: not oracle.endpoints(self.bn), what="both gone")

    def test_refused_port_starts_nothing(self):
        holder = self.attach("net", "holder", "-p", "8080:80")
        self.assertTrue(holder)
        for detach in ((), ("-d",)):
            self.fails("run", "--network", "net", *detach, "-p", "8080:80", "--",
                       *self.noting("true"), mention=("8080", "holder"))
        self.assertFalse(os.path.exists(self.pid_file))

    def test_killed_with_its_supervisor(self):
        """What is left of it is the state's: one detach and it is as if it had never been."""
        process = self.start("--name", "web", "-p", "8080:80", "--", *self.noting("sleep", "60"))
        wait_until(lambda: os.path.exists(self.pid_file), what="the command")
        supervisors = [child for child in children(process.pid) if child != self.command()]
        self.assertEqual(1, len(supervisors))
        process.send_signal(signal.SIGSTOP)     # it would clean up
        os.kill(supervisors[0], signal.SIGKILL)
        process.kill()
        process.wait()
        if oracle.endpoints(self.bn):
            self.bn("detach", "net", "web")
        self.gone()


def children(pid):
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children") as file:
            for child in map(int, file.read().split()):
                found += [child] + children(child)
    return found


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return re.search(r"\) (\w)", file.read())[1] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@for_each_backend
class Exec(KernelTest):
    def setUp(self):
        super().setUp()
        self.create(dual=True)
        self.namespace = self.attach("net", "c1")

    def test_inside_the_namespace(self):
        result = self.bn.result("exec", "net", "c1", "--", "ip", "-o", "addr", "show", "eth0")
        self.assertEqual((0, ""), (result.returncode, result.stderr))
        self.assertIn("172.30.0.2/24", result.stdout)

    def test_status_and_streams(self):
        result = self.bn.result("exec", "net", "c1", "--", "sh", "-c", "cat; exit 9", stdin="in")
        self.assertEqual((9, "in"), (result.returncode, result.stdout))
        self.assertEqual(127, self.bn.result("exec", "net", "c1", "--", "/nonesuch").returncode)

    def test_unknown(self):
        self.fails("exec", "net", "nonesuch", "--", "true", mention="nonesuch")

    def test_namespace_gone(self):
        self.net.endpoints.remove(self.namespace)
        self.net.namespaces.remove(self.namespace)
        self.namespace.delete()
        # the kernel takes its time with what was in it
        wait_until(lambda: not [name for name, link in self.host.links().items()
                                if "/c1" in str(link.get("ifalias"))], what="its link gone")
        self.fails("exec", "net", "c1", "--", "true", mention="c1")


if __name__ == "__main__":
    unittest.main()
