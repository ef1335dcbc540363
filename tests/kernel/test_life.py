# SPDX-License-Identifier: LGPL-2.1-or-later
"""What becomes of endpoints: which namespace is theirs, whether it is there, and what goes with it."""
import json
import os
import re
import subprocess
import sys

import oracle
from topology import FAMILIES, KernelTest, for_each_backend, run, wait_until

# in a namespace of its own until a line comes, then in the one that it came from
MOVES = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
home = os.open("/proc/self/ns/net", os.O_RDONLY)
assert libc.unshare(0x40000000) == 0
print("there", flush=True)
sys.stdin.readline()
assert libc.setns(home, 0x40000000) == 0
print("back", flush=True)
sys.stdin.readline()
"""

ADDRESS = {4: "172.30.0.9", 6: "fd00:30::9"}


class LifeTest(KernelTest):
    def calls(self):
        """The library's own functions, in a process on the host: call(name, *arguments)."""
        process = self.fixture("endpoints.py")

        def call(*words):
            print(json.dumps(words), file=process.stdin, flush=True)
            return json.loads(process.stdout.readline())

        return call

    def inhabit(self, namespace):
        """A process there."""
        process = namespace.popen("sleep", "1000")
        self.processes.append(process)
        return process

    def move(self):
        """A process in a new namespace; and how it is sent back to where it came from."""
        process = self.host.popen(sys.executable, "-c", MOVES, stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True)
        self.processes.append(process)
        self.addCleanup(process.stdin.close)
        self.assertEqual("there\n", process.stdout.readline())

        def back():
            print(file=process.stdin, flush=True)
            self.assertEqual("back\n", process.stdout.readline())

        return process, back

    @staticmethod
    def inode(process):
        return os.stat(f"/proc/{process.pid}/ns/net").st_ino

    def inside(self, network, endpoint):
        """The namespace that exec enters."""
        link = self.bn("exec", network, endpoint, "--", "readlink", "/proc/self/ns/net")
        return int(re.fullmatch(r"net:\[(\d+)\]\n", link).group(1))

    def host_end(self, network, endpoint):
        return oracle.endpoint(self.bn, network, endpoint)["host_interface_name"]

    def state(self, network, endpoint):
        """As each way of asking says it, and the table."""
        listed = oracle.endpoint(self.bn, network, endpoint)["state"]
        (shown,) = [entry["state"] for entry in
                    self.bn.json("network", "inspect", network)["endpoints"]
                    if entry["endpoint"] == endpoint]
        self.assertEqual(listed, shown)
        self.assertEqual({"result": listed}, self.calls()("state", network, endpoint))
        status = {"running": "running", "sandbox-gone": "sandbox gone", "cut": "cut",
                  "": "unknown"}[listed]
        self.assertRegex(self.bn("ps"), rf"(?m)^{network} +{endpoint} +{status}(  |$)")
        return listed

    def lose(self, namespace, *links):
        """The namespace goes, and the kernel takes its links away."""
        self.net.endpoints.remove(namespace)
        self.net.namespaces.remove(namespace)
        namespace.delete()
        wait_until(lambda: not set(links) & set(self.host.links()), what="the end of links")


@for_each_backend
class Names(LifeTest):
    """A sentence names what was given as a descriptor."""

    def test_taken_interface(self):
        self.create()
        namespace = self.net.endpoint("c1")
        namespace.batch("link add eth0 type bridge\n" +
                        "".join(f"link add eth{i} type bridge\n" for i in range(1, 70)))
        # by a file of its own: the name of the namespace would be its path
        process = self.inhabit(namespace)
        answer = self.calls()("attach_fd", "net", "c1", f"/proc/{process.pid}/ns/net")
        self.assertIn(f"net:[{self.inode(process)}] (descriptor FD)", answer["error"])

    def test_host_s_own(self):
        self.create()
        own = self.host.popen("sleep", "1000")
        self.processes.append(own)
        answer = self.calls()("attach_fd", "net", "c1", f"/proc/{own.pid}/ns/net")
        self.assertEqual("SANDBOX_INVALID", answer["reason"])
        self.assertIn(f"net:[{self.inode(own)}] (descriptor FD)", answer["error"])


@for_each_backend
class Host(LifeTest):
    def test_another_namespace_is_refused(self):
        namespace = self.net.endpoint("other")
        self.fails("attach", "host", "c1", "--netns", namespace.path,
                   mention=(namespace.path, "not the host's own"))
        self.assertEqual([], oracle.endpoints(self.bn))
        self.bn("attach", "host", "c1")
        self.bn("attach", "host", "c2", "--netns", self.host.path)
        self.assertEqual({"c1", "c2"},
                         {entry["endpoint"] for entry in oracle.endpoints(self.bn)})


@for_each_backend
class Sandbox(LifeTest):
    def test_own_path(self):
        self.create()
        namespace = self.attach("net", "c1")
        inode = os.stat(namespace.path).st_ino
        self.assertEqual(inode, self.inside("net", "c1"))
        self.assertEqual({"result": {"inode": inode, "inheritable": False}},
                         self.calls()("open_sandbox", "net", "c1"))

    def test_path_made_anew(self):
        """Whoever has it now is a stranger."""
        self.create()
        namespace = self.attach("net", "c1")
        inode = self.inode(self.inhabit(namespace))
        stranger = self.net.endpoint("stranger")
        namespace.unlink()
        run("touch", namespace.path)
        run("mount", "--bind", stranger.path, namespace.path)
        self.addCleanup(run, "ip", "netns", "del", namespace.name, check=False)
        self.assertEqual(inode, self.inside("net", "c1"))
        self.assertEqual("running", self.state("net", "c1"))

    def test_path_made_anew_and_gone(self):
        self.create()
        namespace = self.attach("net", "c1", "-p", "8080:80")
        stranger = self.net.endpoint("stranger")
        path, inode = namespace.path, os.stat(namespace.path).st_ino
        self.lose(namespace, self.host_end("net", "c1"))
        run("touch", path)
        run("mount", "--bind", stranger.path, path)
        self.addCleanup(run, "ip", "netns", "del", namespace.name, check=False)
        error = self.fails("exec", "net", "c1", "--", "true", code=125, mention=f"net:[{inode}]")
        self.assertIn("is gone", error)
        answer = self.calls()("open_sandbox", "net", "c1")
        self.assertEqual("SANDBOX_GONE", answer["reason"])
        self.assertEqual("sandbox-gone", self.state("net", "c1"))

    def test_process_that_has_moved(self):
        """Its number leads to the host's own by now, as one that was given again may."""
        self.create()
        process, back = self.move()
        inode = self.inode(process)
        other = self.host.popen("nsenter", "-t", str(process.pid), "-n", "sleep", "1000")
        self.processes.append(other)
        wait_until(lambda: self.inode(other) == inode)
        self.bn("attach", "net", "c1", "--pid", str(process.pid))
        self.bn("attach", "none", "c1", "--pid", str(process.pid))
        back()
        self.assertNotEqual(inode, self.inode(process))
        for network in ("net", "none"):
            self.assertEqual(inode, self.inside(network, "c1"))
            self.assertEqual("running", self.state(network, "c1"))

    def test_process_that_has_ended(self):
        self.create()
        process, _ = self.move()
        inode = self.inode(process)
        other = self.host.popen("nsenter", "-t", str(process.pid), "-n", "sleep", "1000")
        self.processes.append(other)
        wait_until(lambda: self.inode(other) == inode)
        self.bn("attach", "net", "c1", "--pid", str(process.pid))
        end = self.host_end("net", "c1")
        process.kill()
        process.wait()
        self.assertEqual(inode, self.inside("net", "c1"))
        other.kill()
        other.wait()
        wait_until(lambda: end not in self.host.links())
        self.fails("exec", "net", "c1", "--", "true", code=125, mention="is gone")

    def test_descriptor(self):
        """There is no path at all."""
        self.create()
        process, _ = self.move()
        call = self.calls()
        self.assertEqual({"result": None},
                         call("attach_fd", "net", "c1", f"/proc/{process.pid}/ns/net"))
        self.assertEqual("", oracle.endpoint(self.bn, "net", "c1")["sandbox"])
        self.assertEqual(self.inode(process), self.inside("net", "c1"))
        self.assertEqual({"inode": self.inode(process), "inheritable": False},
                         call("open_sandbox", "net", "c1")["result"])

    def test_host_and_none(self):
        namespace = self.attach("none", "c1")
        self.bn("attach", "host", "c1")
        self.assertEqual(os.stat(namespace.path).st_ino, self.inside("none", "c1"))
        self.assertEqual(os.stat(self.host.path).st_ino, self.inside("host", "c1"))

    def test_host_of_another_state(self):
        self.create()
        self.bn("attach", "host", "c1")
        elsewhere = self.net.endpoint("elsewhere")
        result = elsewhere.run(*self.bn.argv("exec", "host", "c1", "--", "true"), check=False)
        self.assertEqual(125, result.returncode)
        self.assertIn("another network namespace", result.stderr)

    def test_unknown(self):
        self.create()
        self.fails("exec", "net", "c1", "--", "true", code=125, mention="no endpoint c1")
        self.fails("exec", "other", "c1", "--", "true", code=125, mention="no network other")


@for_each_backend
class State(LifeTest):
    def setUp(self):
        super().setUp()
        self.create(dual=True)
        self.namespace = self.attach("net", "c1")
        self.attach("net", "c2")
        self.end = self.host_end("net", "c1")

    def tearDown(self):
        if self.expect_clean:
            self.assertEqual("running", self.state("net", "c2"))
        super().tearDown()

    def test_attach(self):
        namespace = self.net.endpoint("c3")
        shown = self.bn.json("attach", "net", "c3", "--netns", namespace.path)
        self.assertEqual("running", shown["state"])
        self.assertEqual("running", self.state("net", "c1"))

    def test_host_end_down(self):
        self.host.run("ip", "link", "set", self.end, "down")
        self.assertEqual("cut", self.state("net", "c1"))
        self.host.run("ip", "link", "set", self.end, "up")
        self.assertEqual("running", self.state("net", "c1"))

    def test_inner_end_down(self):
        """That is the endpoint's own affair."""
        self.namespace.run("ip", "link", "set", "eth0", "down")
        self.assertEqual("running", self.state("net", "c1"))

    def test_off_the_bridge(self):
        self.host.run("ip", "link", "set", self.end, "nomaster")
        self.assertEqual("cut", self.state("net", "c1"))

    def test_on_another_bridge(self):
        self.create("other", "--subnet", "172.31.0.0/24")
        bridge = oracle.network(self.bn, "other")["bridge"]
        self.host.run("ip", "link", "set", self.end, "master", bridge)
        self.assertEqual("cut", self.state("net", "c1"))

    def test_host_end_deleted(self):
        self.host.run("ip", "link", "del", self.end)
        self.assertEqual("cut", self.state("net", "c1"))

    def test_inner_end_deleted(self):
        self.namespace.run("ip", "link", "del", "eth0")
        self.assertEqual("cut", self.state("net", "c1"))

    def test_deleted_without_a_path(self):
        """Somebody is in the namespace, and the name is gone."""
        self.inhabit(self.namespace)
        self.namespace.unlink()
        self.assertEqual("running", self.state("net", "c1"))
        self.host.run("ip", "link", "del", self.end)
        self.assertEqual("cut", self.state("net", "c1"))

    def test_namespace_gone(self):
        self.lose(self.namespace, self.end)
        self.assertEqual("sandbox-gone", self.state("net", "c1"))

    def test_from_elsewhere(self):
        """The links of another namespace can't be seen."""
        elsewhere = self.net.endpoint("elsewhere")
        shown = json.loads(elsewhere.run(*self.bn.argv("--json", "ps")).stdout)
        self.assertEqual({""}, {entry["state"] for entry in shown})
        self.assertIn("unknown", elsewhere.run(*self.bn.argv("ps")).stdout)


@for_each_backend
class StateElsewhere(LifeTest):
    def test_bridge_deleted(self):
        self.create()
        self.attach("net", "c1")
        self.host.run("ip", "link", "del", oracle.network(self.bn, "net")["bridge"])
        self.assertEqual("cut", self.state("net", "c1"))

    def test_host_and_none(self):
        namespace = self.attach("none", "c1")
        self.bn("attach", "host", "c1")
        for network in ("host", "none"):
            self.assertEqual("running", self.state(network, "c1"))
        self.lose(namespace)
        wait_until(lambda: self.state("none", "c1") == "sandbox-gone")
        self.assertEqual("running", self.state("host", "c1"))

    def test_many_networks(self):
        self.create("one", "--subnet", "172.31.1.0/24")
        self.create("two", "--subnet", "172.31.2.0/24")
        for network in ("one", "two"):
            for endpoint in ("a", "b"):
                self.attach(network, endpoint)
        self.host.run("ip", "link", "set", self.host_end("two", "a"), "nomaster")
        self.assertEqual({("one", "a"): "running", ("one", "b"): "running", ("two", "a"): "cut",
                          ("two", "b"): "running"},
                         {(entry["network"], entry["endpoint"]): entry["state"]
                          for entry in oracle.endpoints(self.bn)})


@for_each_backend
class Routes(LifeTest):
    def attach_shown(self, network, namespace, *argv):
        """What attach says, which is what the listing says later."""
        attached = self.bn.json("attach", network, "c1", "--netns", namespace.path, *argv)
        listed = oracle.endpoint(self.bn, network, "c1")
        for key in ("routes", "options"):
            self.assertEqual(attached[key], listed[key])
        return attached

    @staticmethod
    def in_kernel(namespace, interface="eth0"):
        """Default routes first, then the others."""
        routes = []
        for flag, everything in (("-4", "0.0.0.0/0"), ("-6", "::/0")):
            for route in namespace.ip(flag, "route", "show", "dev", interface):
                if "gateway" in route:
                    destination = route["dst"].replace("default", everything)
                    routes.append({"type": "unicast", "destination": destination,
                                   "gateway": route["gateway"],
                                   "metric": route.get("metric", 0)})
        return sorted(routes, key=lambda route: not route["destination"].endswith("/0"))

    def test_as_installed(self):
        self.create(dual=True)
        namespace = self.net.endpoint("c1")
        shown = self.attach_shown("net", namespace, "--route", "10.8.0.0/16=172.30.0.1",
                                  "--route", "fd00:8::/64=fd00:30::1")
        self.assertEqual(4, len(shown["routes"]))
        self.assertEqual(self.in_kernel(namespace), shown["routes"])
        text = self.bn("ps", "-v")
        self.assertIn("10.8.0.0/16 via 172.30.0.1\n", text)
        self.assertIn("::/0 via fd00:30::1 metric 100\n", text)

    def test_none_where_none_is_set(self):
        self.create(dual=True)
        namespace = self.net.endpoint("c1")
        self.assertEqual([], self.attach_shown("none", namespace)["routes"])
        self.assertEqual([], self.attach_shown("host", self.host)["routes"])

    def test_metric(self):
        """What was asked for may be a sibling's: what was chosen is shown."""
        self.create("one", "--subnet", "172.31.1.0/24")
        self.create("two", "--subnet", "172.31.2.0/24")
        namespace = self.net.endpoint("c1")
        call = self.calls()
        for network, metric in (("one", 70), ("two", 71)):
            self.assertEqual({"result": [[["metric", str(metric)]], [["0.0.0.0/0", metric]]]},
                             call("attach_metric", network, "c1", namespace.path, "70"))
            listed = oracle.endpoint(self.bn, network, "c1")
            self.assertEqual({"metric": str(metric)}, listed["options"])
            self.assertEqual([metric], [route["metric"] for route in listed["routes"]])


@for_each_backend
class Collect(LifeTest):
    def setUp(self):
        super().setUp()
        self.create(dual=True)

    def attach_all(self, role="c1", port=8080):
        """With an address and a port of each family, and what it takes to lose it."""
        namespace = self.attach("net", role, "--ip", ADDRESS[4], "--ip", ADDRESS[6],
                                "-p", f"{port}:80")
        return namespace, self.host_end("net", role)

    def host_ports(self):
        """Those that lead somewhere."""
        return {port for _, _, _, port in self.oracle.ports()}

    def endpoints(self):
        return sorted((entry["network"], entry["endpoint"]) for entry in oracle.endpoints(self.bn))

    def test_what_went(self):
        namespace, end = self.attach_all()
        self.attach("net", "c2", "-p", "8081:80")
        self.lose(namespace, end)
        gone = self.calls()("collect", None)["result"]
        self.assertEqual([["net", "c1", "sandbox-gone", f"{ADDRESS[4]}/24", 1]], gone)
        self.assertEqual([("net", "c2")], self.endpoints())
        self.assertEqual([], self.calls()("collect", None)["result"])
        self.assertEqual({8081}, self.host_ports())

    def test_command(self):
        namespace, end = self.attach_all()
        self.assertEqual("", self.bn("collect"))
        self.lose(namespace, end)
        self.assertEqual("net c1\n", self.bn("collect"))
        self.assertEqual([], self.endpoints())
        self.assertEqual([], self.bn.json("collect"))

    def test_one_network(self):
        self.create("other", "--subnet", "172.31.0.0/24")
        namespace, end = self.attach_all()
        other = self.attach("other", "c1")
        self.lose(namespace, end)
        self.lose(other, self.host_end("other", "c1"))
        self.assertEqual("other c1\n", self.bn("collect", "other"))
        self.assertEqual([("net", "c1")], self.endpoints())
        self.assertEqual("net c1\n", self.bn("collect", "net"))
        self.fails("collect", "third", mention="no network third")

    def test_several_networks_at_once(self):
        self.create("other", "--subnet", "172.31.0.0/24")
        shared = self.attach("net", "b", "-p", "8081:81")
        self.attach("other", "a", "-p", "8082:82", namespace=shared)
        alone, end = self.attach_all("a")
        links = [end, self.host_end("net", "b"), self.host_end("other", "a")]
        self.lose(shared, *links[1:])
        self.lose(alone, end)
        self.assertEqual("net a\nnet b\nother a\n", self.bn("collect"))
        self.assertEqual([], self.endpoints())
        self.assertEqual({}, self.oracle.ports())

    def test_next_attach(self):
        """It finds the id, the addresses and the port free, and what sends there is its own."""
        namespace, end = self.attach_all()
        self.lose(namespace, end)
        namespace, _ = self.attach_all()
        listeners = self.serve(namespace, 80)
        for family in FAMILIES:
            self.assert_tcp(self.remote, self.net.host_address(family), 8080, listeners[family])

    def test_before_and_after(self):
        """Who changes something collects before it; who takes something away, after."""
        changes = {
            "attach": lambda: self.attach("net", "new"),
            "network create": lambda: self.create("new", "--subnet", "172.31.0.0/24"),
            "network rm": lambda: self.bn("network", "rm", "new"),
            "publish": lambda: self.bn("publish", "net", "new", "-p", "9000:90"),
            "unpublish": lambda: self.bn("unpublish", "net", "new", "-p", "9000:90"),
            "run": lambda: self.bn("run", "--network", "net", "--", "true"),
            "detach": lambda: self.bn("detach", "net", "new"),
        }
        for name, change in changes.items():
            with self.subTest(command=name):
                namespace, end = self.attach_all()
                self.lose(namespace, end)
                change()
                self.assertNotIn(("net", "c1"), self.endpoints())

    def test_detach_what_is_gone(self):
        namespace, end = self.attach_all()
        self.lose(namespace, end)
        self.bn("detach", "net", "c1")
        namespace, end = self.attach_all()
        self.lose(namespace, end)
        self.bn("unpublish", "net", "c1", "-p", "8080:80")
        self.assertEqual([], self.endpoints())

    def test_the_last_of_a_network(self):
        namespace, end = self.attach_all()
        self.lose(namespace, end)
        self.bn("network", "rm", "net")
        self.assertEqual([], self.endpoints())

    def test_listings_leave_it(self):
        namespace, end = self.attach_all()
        self.lose(namespace, end)
        for argv in (("ps",), ("ps", "-v"), ("network", "ls"), ("network", "inspect", "net"),
                     ("rules", "-v"), ("rules", "--plan"), ("backend",)):
            self.bn(*argv)
        self.assertEqual([("net", "c1")], self.endpoints())

    def test_cut_stays(self):
        self.attach_all()
        down = self.attach("net", "down")
        moved = self.attach("net", "moved")
        deleted = self.attach("net", "deleted")
        self.host.run("ip", "link", "set", self.host_end("net", "down"), "down")
        self.host.run("ip", "link", "set", self.host_end("net", "moved"), "nomaster")
        self.host.run("ip", "link", "del", self.host_end("net", "deleted"))
        for namespace in (down, moved, deleted):
            self.inhabit(namespace)
            namespace.unlink()
        self.assertEqual("", self.bn("collect"))
        self.assertEqual([("net", name) for name in ("c1", "deleted", "down", "moved")],
                         self.endpoints())

    def test_part_of_the_processes(self):
        """Who does not see those in the namespace takes nothing away whose link is there."""
        process, _ = self.move()
        call = self.calls()
        call("attach_fd", "net", "c1", f"/proc/{process.pid}/ns/net")
        result = self.host.run("unshare", "--pid", "--fork", "--mount-proc",
                               *self.bn.argv("collect"))
        self.assertEqual("", result.stdout)
        self.assertEqual([("net", "c1")], self.endpoints())

    def test_none(self):
        namespace = self.attach("none", "c1")
        kept = self.attach("none", "c2")
        self.inhabit(kept)
        kept.unlink()
        self.bn("attach", "host", "c1")
        self.lose(namespace)
        wait_until(lambda: oracle.endpoint(self.bn, "none", "c1")["state"] == "sandbox-gone")
        known = tuple(map(int, os.uname().release.split(".")[:2])) >= (6, 18)
        self.assertEqual("none c1\n" if known else "", self.bn("collect"))
        self.assertEqual([("host", "c1")] + ([] if known else [("none", "c1")]) + [("none", "c2")],
                         self.endpoints())

    def test_two_at_once(self):
        """Each endpoint goes once, and neither fails."""
        lost = []
        for number in range(6):
            namespace = self.attach("net", f"c{number}", "-p", f"{8080 + number}:80")
            lost.append((namespace, self.host_end("net", f"c{number}")))
        for namespace, end in lost:
            self.lose(namespace, end)
        both = [self.bn.popen("collect", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                for _ in range(2)]
        self.processes += both
        answers = [process.communicate() for process in both]
        self.assertEqual(["", ""], [stderr for _, stderr in answers])
        self.assertEqual([f"net c{number}" for number in range(6)],
                         sorted((answers[0][0] + answers[1][0]).splitlines()))
        self.assertEqual([], self.endpoints())
        self.assertEqual({}, self.oracle.ports())

    def test_beside_others(self):
        """Those who attach, detach and collect at the same time all get what they ask for."""
        for turn in range(4):
            namespace, end = self.attach_all()
            self.attach("net", "old", "-p", "8081:81")
            new = self.net.endpoint("new")
            self.lose(namespace, end)
            beside = [self.bn.popen(*argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                      for argv in (("collect",), ("detach", "net", "old"),
                                   ("attach", "net", "new", "--netns", new.path, "--ip",
                                    ADDRESS[4], "--ip", ADDRESS[6], "-p", "8080:80"))]
            self.processes += beside
            for process in beside:
                _, stderr = process.communicate()
                self.assertEqual("", stderr, f"turn {turn}")
            self.assertEqual([("net", "new")], self.endpoints())
            self.assertEqual({8080}, self.host_ports())
            self.bn("detach", "net", "new")
