# SPDX-License-Identifier: LGPL-2.1-or-later
"""bn run and bn exec: a command with a network of its own, gone with the command."""
import itertools
import os
import signal
import subprocess
import sys
import unittest

import oracle
from running import WITHOUT_ADMIN, RunTest, kill, status
from topology import (BACKENDS, FAMILIES, PATIENCE, KernelTest, for_backend, for_each_backend,
                      wait_until)

WEB = (sys.executable, "-m", "http.server", "80", "--bind", "::", "--directory", "/usr/share")


@for_each_backend
class Run(RunTest):
    def fetch_page(self, client, url):
        return client.run("curl", "-s", "-g", "-m", "3", "-o", "/dev/null", "-w",
                          "%{http_code} %{remote_ip}", url, check=False).stdout

    def served(self, port=8080):
        for family in FAMILIES:
            address = self.net.host_address(family)
            url = f"http://{address if family == 4 else f'[{address}]'}:{port}/"
            wait_until(lambda: self.fetch_page(self.remote, url) == f"200 {address}",
                       what=url)
        self.assertEqual("200 127.0.0.1",
                         self.fetch_page(self.host, f"http://127.0.0.1:{port}/"))

    def test_serves_a_page(self):
        process = self.start("--name", "web", "-p", "8080:80", "--", *WEB)
        self.served()
        shown = oracle.endpoint(self.bn, "net", "web")
        self.assertEqual([(8080, 80)], [(port["host_port"], port["container_port"])
                                        for port in shown["ports"]])
        process.terminate()
        process.wait(PATIENCE)
        self.gone()

    def test_on_the_default_network(self):
        result = self.bn.result("run", "--", "ip", "-4", "-o", "addr", "show", "eth0")
        self.assertEqual((0, ""), (result.returncode, result.stderr))
        self.assertRegex(result.stdout, r"inet 172\.\d+\.0\.2/16")

    def test_on_several_networks(self):
        """All or none; the ports are on the first that can have any."""
        self.bn("network", "create", "inside", "--opt", "internal=yes")
        self.bn("network", "create", "other")
        networks = ("--network", "inside", "--network", "net", "--network", "other")
        process = self.bn.popen("run", *networks, "--name", "web", "-p", "8080:80", "--", *WEB,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.processes.append(process)
        self.served()
        self.assertEqual({"inside": 0, "net": 1, "other": 0},
                         {one["network"]: len(one["ports"]) for one in oracle.endpoints(self.bn)})
        process.terminate()
        process.wait(PATIENCE)
        self.assertEqual([], oracle.endpoints(self.bn))
        started = self.bn.json("run", "-d", *networks, "--name", "web", "--", "sleep", "1000")
        self.assertEqual(("inside", ["inside", "net", "other"]),
                         (started["network"], started["networks"]))
        kill(started["pid"], signal.SIGTERM)
        wait_until(lambda: not oracle.endpoints(self.bn), what="the end of it")
        missing = self.result("--network", "other", "--network", "no-such", "--", "true")
        self.assertEqual(125, missing.returncode)
        self.assertIn("no-such", missing.stderr)
        alone = self.result("--network", "host", "--", "true")
        self.assertEqual(125, alone.returncode)
        self.assertIn("'host'", alone.stderr)
        self.bn("network", "rm", "inside", "other")
        self.gone()

    def test_normal_end_cleans_up(self):
        result = self.result("-p", "8080:80", "--", "true")
        self.assertEqual(0, result.returncode, result.stderr)
        self.assertEqual([], oracle.endpoints(self.bn))
        self.gone()

    def test_nothing_in_a_namespace_that_stays(self):
        """Somebody else may keep it: the interface goes from there as well."""
        process = self.start("--", *self.noting())
        with open(f"/proc/{self.roles()['command']}/ns/net") as kept:
            process.terminate()
            process.wait(PATIENCE)
            inside = subprocess.run(
                ("nsenter", f"--net=/proc/self/fd/{kept.fileno()}", "ip", "-br", "link"),
                pass_fds=[kept.fileno()], stdout=subprocess.PIPE, text=True, check=True).stdout
            self.assertEqual(["lo"], [line.split()[0] for line in inside.splitlines()])
            self.assertEqual([], oracle.endpoints(self.bn))
            self.gone()

    def test_however_it_ends(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL):
            with self.subTest(signal=number.name):
                process = self.start("-p", "8080:80", "--", *self.noting())
                self.roles()
                self.assertEqual(1, len(oracle.endpoints(self.bn)))
                process.send_signal(number)
                process.wait(PATIENCE)
                self.assertNotEqual(0, process.returncode)
                self.gone()

    def test_detached(self):
        result = self.result("--name", "web", "-d", "-p", "8080:80", "--", *self.noting(*WEB))
        self.assertEqual((0, "web\n", ""), (result.returncode, result.stdout, result.stderr))
        self.served()
        kill(self.roles()["command"], signal.SIGTERM)
        self.gone()

    def test_detached_under_a_name_of_ours(self):
        names = [self.result("-d", "--", "sleep", "1000").stdout.strip() for _ in range(2)]
        self.assertEqual(2, len(set(names)))
        self.assertEqual(sorted(names),
                         sorted(entry["endpoint"] for entry in oracle.endpoints(self.bn)))
        for pid in self.processes_left():
            if status(pid, "Name") == ["sleep"]:
                kill(pid, signal.SIGTERM)
        self.gone()

    def test_refused_port_starts_nothing(self):
        holder = self.attach("net", "holder", "-p", "8080:80")
        self.assertTrue(holder)
        for detach in ((), ("-d",)):
            self.fails("run", "--network", "net", *detach, "-p", "8080:80", "--", *self.noting(),
                       code=125, mention=("8080", "holder"))
        self.assertFalse(os.path.exists(self.ready))
        self.ended()

    def test_killed_with_its_supervisor(self):
        """What is left of it is the state's: one change and it is as if it had never been."""
        for detach in ((), ("-d",)):
            with self.subTest(detach=detach):
                process = self.start("--name", "web", "-p", "8080:80", *detach, "--",
                                     *self.daemon())
                pids = self.roles()
                if detach:
                    process.wait(PATIENCE)
                else:
                    process.send_signal(signal.SIGSTOP)     # it would clean up
                kill(pids["supervisor"])
                process.kill()
                process.wait()
                self.collected()


@for_backend(BACKENDS[0])
class Command(RunTest):
    """What the command is given, and gives."""

    def test_exit_status(self):
        commands = ((("true",), 0), (("sh", "-c", "exit 7"), 7), (("sh", "-c", "exit 255"), 255),
                    (("sh", "-c", "kill -9 $$"), 137), (("sh", "-c", "kill -SEGV $$"), 139),
                    (("sh", "-c", "kill -TERM 1; sleep 1000"), 143), (("/nonesuch",), 127),
                    (("/etc/passwd/x",), 127), (("/etc/passwd",), 126))
        for network, (command, expected) in itertools.product(("net", "host"), commands):
            with self.subTest(network=network, command=command):
                result = self.result("--", *command, network=network)
                self.assertEqual(expected, result.returncode, result.stderr)
        self.assertEqual([], oracle.endpoints(self.bn))

    def test_streams(self):
        result = self.result("--", "sh", "-c", "cat; echo err >&2", stdin="in")
        self.assertEqual((0, "in", "err\n"), (result.returncode, result.stdout, result.stderr))

    def test_a_namespace_of_its_own(self):
        for network, expected in (("net", ["eth0", "lo"]), ("none", ["lo"])):
            result = self.result("--", "ls", "/sys/class/net", network=network)
            self.assertEqual(expected, sorted(result.stdout.split()), result.stderr)

    def test_host(self):
        """On the host's own network: its interfaces, nothing added."""
        before = self.net.host_state()
        result = self.result("--", "ip", "-4", "-o", "addr", network="host")
        self.assertEqual((0, ""), (result.returncode, result.stderr))
        self.assertIn("192.0.2.1/24", result.stdout)
        self.assertEqual(before, self.net.host_state())

    def test_sees_its_own_processes_alone(self):
        script = "echo $$; cat /proc/1/comm; cd /proc; echo [0-9]*"
        for network, detach in itertools.product(("net", "none", "host"), ((), ("-d",))):
            with self.subTest(network=network, detach=detach), \
                    open(self.path("out"), "w+") as file:
                process = self.start(*detach, "--name", "web", "--", "sh", "-c", script,
                                     network=network, stdout=file, stderr=file)
                self.assertEqual(0, process.wait(PATIENCE))
                self.ended()
                file.seek(0)
                said = file.read().split("\n")
                self.assertEqual(["2", "bn", "1 2", ""], [line for line in said if line != "web"])

    def test_mounts_of_the_host_stay(self):
        def mounts():
            with open("/proc/self/mountinfo") as file:
                return file.read()
        before = mounts()
        self.start_detached("sleep", "1000")
        self.assertEqual(before, mounts())

    def test_pids_are_those_of_the_host(self):
        started = self.start_detached(*self.noting())
        pids = self.roles()
        self.assertEqual((pids["command"], pids["supervisor"]),
                         (started["pid"], started["supervisor"]))
        sandbox = oracle.endpoint(self.bn, "net", "web")["sandbox"]
        self.assertTrue(os.path.samefile(sandbox, f"/proc/{started['pid']}/ns/net"))
        kill(started["pid"], signal.SIGTERM)
        self.gone()

    def test_orphans_are_buried(self):
        script = ("for i in 1 2 3; do (setsid sh -c 'exit 0' &); done\n"
                  "i=0; while [ $i -lt 500 ]; do i=$((i + 1))\n"
                  "set -- /proc/[0-9]*; [ $# = 2 ] && exit 0; sleep 0.01; done; "
                  "cat /proc/[0-9]*/stat; exit 1")
        result = self.result("--", "sh", "-c", script)
        self.assertEqual((0, ""), (result.returncode, result.stdout))

    def test_ends_with_all_that_it_started(self):
        for detach, network in itertools.product(((), ("-d",)), ("net", "host")):
            with self.subTest(detach=detach, network=network):
                process = self.start(*detach, "--", *self.daemon(0), network=network)
                self.assertEqual(0, process.wait(PATIENCE))
                self.gone()

    def test_is_in_nobodys_way(self):
        """The supervisor is there for some milliseconds more, but not where it was started."""
        directory = self.path("directory")
        os.mkdir(directory)
        self.host.run("sh", "-ec", 'directory=$1; shift; for i in 1 2 3 4 5; do\n'
                      'mount -t tmpfs tmpfs "$directory"; cd "$directory"; "$@"\n'
                      'cd /; umount "$directory"; done', "sh", directory,
                      *self.bn.argv("run", "--network", "net", "--", "true"), timeout=PATIENCE)

    def test_sigchld_ignored_by_who_starts_it(self):
        result = self.host.run("env", "--ignore-signal=CHLD", *self.bn.argv(
            "run", "--network", "net", "--", "sh", "-c", "exit 4"), check=False, timeout=PATIENCE)
        self.assertEqual(4, result.returncode, result.stderr)

    def test_inside_a_pid_namespace(self):
        result = self.host.run("unshare", "--pid", "--fork", "--mount-proc",
                               *self.bn.argv("run", "--", "sh", "-c", "echo $$"))
        self.assertEqual(("2\n", ""), (result.stdout, result.stderr))

    def test_descriptors(self):
        """Those of 0 to 2 that are closed stay so, none is added, and with -d all are there."""
        script = ("import os, sys\n"
                  "found = {}\n"
                  "for name in os.listdir('/proc/self/fd'):\n"
                  "    try: found[int(name)] = os.readlink('/proc/self/fd/' + name)\n"
                  "    except FileNotFoundError: pass\n"     # that of the listing
                  "with open(sys.argv[1] + '.new', 'w') as file: print(found, file=file)\n"
                  "os.rename(sys.argv[1] + '.new', sys.argv[1])")
        for closed, detach in itertools.product(itertools.product((0, 1), repeat=3), (0, 1)):
            with self.subTest(closed=closed, detach=detach):
                listing = self.path("listing")
                shut = " ".join(f"{fd}>&-" for fd in range(3) if closed[fd])
                result = self.host.run(
                    "sh", "-c", f'exec "$@" {shut}', "sh",
                    *self.bn.argv("run", "--network", "net", *["-d"] * detach, "--",
                                  sys.executable, "-c", script, listing),
                    check=False, timeout=PATIENCE, stdin="")
                self.assertEqual((0, ""), (result.returncode, result.stderr))
                wait_until(lambda: os.path.exists(listing), what="the listing")
                with open(listing) as file:
                    found = eval(file.read(), {})
                os.unlink(listing)
                self.assertEqual([fd for fd in range(3) if detach or not closed[fd]],
                                 sorted(found))
                self.assertEqual({"/dev/null"} if detach else set(),
                                 {name for name in found.values()
                                  if not name.startswith("pipe:")})
                self.gone()


@for_backend(BACKENDS[0])
class WithoutPidNamespace(RunTest):
    def judge(self, result, status=5):
        self.assertEqual(status, result.returncode, result.stderr)
        self.assertNotEqual("2\n", result.stdout)
        self.assertRegex(result.stderr, r"\Abn: [^\n]*pid namespace[^\n]*\n\Z")

    def test_without_privilege(self):
        command = ("sh", "-c", "(setsid sleep 1000 &); echo $$; exit 5")
        self.judge(self.host.run(*WITHOUT_ADMIN, *self.bn.argv(
            "run", "--network", "host", "--", *command), check=False))
        self.ended()
        result = self.host.run(*WITHOUT_ADMIN, *self.bn.argv("run", "--network", "net", "--",
                                                             *command), check=False)
        self.assertEqual((125, ""), (result.returncode, result.stdout))
        self.assertRegex(result.stderr, r"\Abn: [^\n]*network namespace[^\n]*run as root\n\Z")

    def test_with_a_masked_proc(self):
        """As in a container: who has not all of /proc gets no new one."""
        script = ("mount -t tmpfs -o mode=0755 tmpfs /run; ip link set lo up\n"
                  f"{' '.join(self.bn.argv('run'))} -- sh -c 'echo $$; ls /sys/class/net; exit 5'")
        script = script.replace(self.bn.state, "/run/state")
        unshare = ("unshare", "--user", "--map-root-user", "--net", "--mount", "sh", "-c", script)
        result = self.host.run(*unshare, check=False)
        self.assertEqual((5, "2\neth0\nlo\n", ""),
                         (result.returncode, result.stdout, result.stderr))
        self.judge(self.host.run("unshare", "--mount", "sh", "-c",
                                 'mount -t tmpfs none /proc/sys/fs && exec "$@"', "sh", *unshare,
                                 check=False))


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
        self.fails("exec", "net", "nonesuch", "--", "true", code=125, mention="nonesuch")

    def test_namespace_gone(self):
        self.net.endpoints.remove(self.namespace)
        self.net.namespaces.remove(self.namespace)
        self.namespace.delete()
        # the kernel takes its time with what was in it
        wait_until(lambda: not [name for name, link in self.host.links().items()
                                if "/c1" in str(link.get("ifalias"))], what="its link gone")
        self.fails("exec", "net", "c1", "--", "true", code=125, mention="c1")


if __name__ == "__main__":
    unittest.main()
