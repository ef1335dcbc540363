# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line: exit statuses, one sentence on failure, JSON on every listing."""
import json
import os
import pathlib
import unittest

import oracle
from topology import PATIENCE, KernelTest, for_each_backend


@for_each_backend
class CommandLine(KernelTest):
    def test_usage(self):
        """Exit 2, something about usage on standard error, nothing done."""
        before = self.net.host_state()
        for argv in ((), ("nonesuch",), ("network",), ("network", "nonesuch"),
                     ("network", "create"), ("network", "create", "a", "b"),
                     ("network", "create", "a", "--subnet"), ("network", "inspect"),
                     ("network", "rm"), ("network", "create", "a", "--nonesuch"), ("attach",),
                     ("attach", "net", "--netns", "/x"),
                     ("attach", "net", "c1", "--netns", "/x", "--pid", "1"), ("detach", "net"),
                     ("attach", "net", "c1", "--pid", "junk"), ("publish", "net", "c1"),
                     ("unpublish", "net", "c1"), ("publish", "net"), ("ps", "too", "many"),
                     ("rules", "too", "many"), ("check", "one", "too", "many"),
                     ("repair", "one", "too", "many"), ("repair", "--nonesuch"), ("exec", "net", "c1"), ("run",), ("--nonesuch",),
                     ("--state-dir",), ("ps", "--option"), ("ps", "--timeout", "soon"), ("network", "ls", "--nonesuch"),
                     ("attach", "net", "c1", "--netns", "/x", "--gateway-priority", "junk")):
            with self.subTest(argv=argv):
                result = self.bn.result(*argv)
                self.assertEqual((2, ""), (result.returncode, result.stdout))
                self.assertTrue(result.stderr.startswith("bn: "), result.stderr)
                self.assertIn("usage", result.stderr)
        self.assertEqual(before, self.net.host_state())

    def test_an_option_that_is_wrong_is_named(self):
        """Also a letter among others, before or after the words."""
        for argv, said in (
                (("run", "-it", "--", "true"), "option '-i' is not known here"),
                (("run", "-dit", "--", "true"), "option '-i' is not known here"),
                (("ps", "-vx"), "option '-x' is not known here"),
                (("attach", "net", "c1", "--ip=10.0.0.2", "-xp", "1"),
                 "option '-x' is not known here"),
                (("-xy", "ps"), "option '-x' is not known here"),
                (("run", "-dp"), "option '-p' needs a value"),
                (("run", "--network"), "option '--network' needs a value"),
                (("ps", "--json=yes"), "option '--json' takes no value"),
                (("ps", "--nonesuch=1"), "option '--nonesuch=1' is not known here")):
            with self.subTest(argv=argv):
                self.assertIn(f"bn: {said}\n", self.fails(*argv, code=2))

    def test_options_of_the_context(self):
        lock = f"{self.bn.state}.lock"
        self.addCleanup(pathlib.Path(lock).unlink, missing_ok=True)
        self.bn("--option", f"iptables.lock-file={lock}", "network", "create", "net", "--option",
                "iptables.comments=yes")
        self.assertEqual(self.backend == "iptables-legacy", os.path.exists(lock))
        self.assertEqual(self.backend == "iptables-legacy",
                         "--comment" in self.host.run("iptables-legacy-save").stdout)
        for setting, said in (("nonesuch=1", "'nonesuch' is not known"),
                              ("sandbox-ipv6=maybe", "sandbox-ipv6 can't be 'maybe'"),
                              ("sandbox-ipv6", "sandbox-ipv6 can't be ''"),
                              ("iptables.comments=a\nb", "control character")):
            with self.subTest(setting=setting):
                self.fails("--option", "sandbox-ipv6=leave", "--option", setting, "network",
                           "create", "other", mention=said)

    def test_options_are_listed(self):
        """Every option with all that the table has; by scope; and none of them needs a state."""
        options = json.loads(self.bn("options", "--json"))
        self.assertEqual({"network", "endpoint", "port", "context"},
                         {option["scope"] for option in options})
        for option in options:
            for key in ("key", "type", "live", "since", "description"):
                self.assertTrue(option[key], (option, key))
            self.assertIn(option["live"], ("yes", "no", "new"))
        internal = [option for option in options if option["key"] == "internal"]
        self.assertEqual([("network", "no or yes", "no", "yes", "com.docker.network.internal")],
                         [(option["scope"], option["type"], option["default"], option["live"],
                           option["alias"]) for option in internal])
        ports = json.loads(self.bn("options", "port", "--json"))
        self.assertEqual([option for option in options if option["scope"] == "port"], ports)
        text = self.bn("options", "network")
        self.assertIn("network internal: no or yes\n    by default no\n    can be changed\n", text)
        self.assertEqual(2, self.bn.result("options", "nonesuch").returncode)

    def test_other_names_and_words(self):
        """Docker's names are taken, and ours are kept; two that disagree are refused."""
        self.bn("network", "create", "a", "--opt", "com.docker.network.driver.mtu=1300", "--opt",
                "com.docker.network.bridge.name=named0", "--opt",
                "com.docker.network.bridge.enable_ip_masquerade=1")
        network = json.loads(self.bn("network", "inspect", "a", "--json"))
        self.assertEqual((1300, "named0", {"masquerade": "yes"}),
                         (network["mtu"], network["bridge"], network["options"]))
        result = self.bn.result("network", "create", "b", "--mtu", "1400", "--opt", "mtu=1300")
        self.assertEqual((1, "bn: option mtu=1300 and bn_network_spec_set_mtu() say two things; "
                             "leave one out\n"), (result.returncode, result.stderr))
        result = self.bn.result("network", "create", "b", "--opt", "maskerade=no")
        self.assertIn("the nearest that is is masquerade", result.stderr)

    def test_defaults_of_a_context(self):
        """For networks that don't say it themselves, those that setters say as well."""
        defaults = ("--option", "network-default.mtu=1280", "--option",
                    "network-default.label.made-by=test", "--option", "network-default.ipv6=yes")
        self.bn(*defaults, "network", "create", "a")
        self.bn(*defaults, "network", "create", "b", "--mtu", "1400", "--opt", "label.made-by=me")
        a, b = (json.loads(self.bn("network", "inspect", name, "--json"))
                for name in ("a", "b"))
        self.assertEqual((1280, {"label.made-by": "test"}), (a["mtu"], a["options"]))
        self.assertEqual((1400, {"label.made-by": "me"}), (b["mtu"], b["options"]))
        self.assertEqual([2, 2], [len(network["subnets"]) for network in (a, b)])
        result = self.bn.result("--option", "network-default.mtu=big", "network", "ls")
        self.assertIn("option mtu can't be 'big'", result.stderr)

    def test_help(self):
        for argv in (("help",), ("--help",), ("help", "attach"), ("network", "create", "--help")):
            self.assertIn("usage", self.bn(*argv))

    def test_failure_is_one_sentence(self):
        for argv in (("network", "rm", "nonesuch"), ("network", "inspect", "nonesuch"),
                     ("detach", "nonesuch", "c1"), ("publish", "nonesuch", "c1", "-p", "1:1"),
                     ("unpublish", "nonesuch", "c1", "-p", "1:1"), ("rules", "nonesuch"),
                     ("check", "nonesuch"), ("repair", "nonesuch"), ("repair", "nonesuch", "c1"),
                     ("check", "bridge", "nonesuch")):
            with self.subTest(argv=argv):
                self.fails(*argv, mention="nonesuch")
        for argv in (("exec", "nonesuch", "c1", "--", "true"),
                     ("run", "--network", "nonesuch", "--", "true")):
            with self.subTest(argv=argv):
                self.fails(*argv, code=125, mention="nonesuch")

    def test_json_on_every_listing(self):
        self.create(dual=True)
        self.attach("net", "c1", "-p", "8080:80", "-p", "9000-9003:9000-9003/udp")
        for argv in (("network", "ls"), ("network", "inspect", "net"),
                     ("network", "inspect", "host"), ("ps",), ("ps", "-v"), ("rules",),
                     ("rules", "-v"), ("rules", "net"), ("rules", "--plan"),
                     ("rules", "-v", "--plan", "net")):
            with self.subTest(argv=argv):
                self.assertTrue(json.loads(self.bn("--json", *argv)))
                self.assertTrue(json.loads(self.bn(*argv, "--json")))

    def test_empty_listings_are_json_too(self):
        for argv in (("ps",), ("ps", "-v"), ("rules",)):
            self.assertEqual([], json.loads(self.bn("--json", *argv)))

    def test_nothing_to_repair(self):
        self.create(dual=True)
        self.attach("net", "c1", "-p", "8080:80")
        for of in ((), ("net",), ("net", "c1")):
            for verb, said in (("check", "all is as it should be\n"),
                               ("repair", "nothing to repair\n")):
                with self.subTest(verb=verb, of=of):
                    self.assertEqual(said, self.bn(verb, *of))
                    self.assertEqual({"ok": True, "findings": []}, self.bn.json(verb, *of))

    def test_what_is_repaired_and_what_is_left(self):
        """Exit 3 for something that is found, or left; a plan changes nothing."""
        self.create(dual=True)
        self.attach("net", "c1")
        bridge = oracle.network(self.bn, "net")["bridge"]
        said = f"bridge {bridge} of network net is down"
        self.host.run("ip", "link", "set", bridge, "down")
        for argv in (("check",), ("check", "net"), ("repair", "--plan"), ("repair", "--dry-run")):
            with self.subTest(argv=argv):
                result = self.bn.result(*argv)
                self.assertEqual((3, ""), (result.returncode, result.stderr))
                self.assertIn(f"broken    {said}; repair brings it up\n", result.stdout)
                answer = json.loads(self.bn.result("--json", *argv).stdout)
                self.assertFalse(answer["ok"])
                found = [each for each in answer["findings"] if each["code"] == "bridge-down"]
                self.assertEqual([("net", "", bridge, 2, False)],
                                 [(each["network"], each["endpoint"], each["object"],
                                   each["severity"], each["repaired"]) for each in found])
        repaired = self.bn.json("repair")
        self.assertTrue(repaired["ok"])
        self.assertIn(said, [each["text"] for each in repaired["findings"] if each["repaired"]])
        self.assertIn("UP", self.host.link(bridge)["flags"])
        self.assertEqual("all is as it should be\n", self.bn("check"))

    def test_ports_in_json(self):
        self.create(dual=True)
        self.attach("net", "c1", "-p", "127.0.0.1:9000-9003:80-83/udp")
        (port,) = json.loads(self.bn("--json", "ps"))[0]["ports"]
        self.assertEqual(("udp", "127.0.0.1", 9000, 80, 4),
                         (port["protocol"], port["host_address"], port["host_port"],
                          port["container_port"], port["count"]))
        self.bn("unpublish", "net", "c1", "-p", port["text"])

    def test_nothing_steers_a_terminal(self):
        """What users and the kernel name may hold all but a few bytes: in text and in JSON, in keys
        too, it is escaped, and in JSON it is the same when it is read."""
        steering = "\x9b31m\x85\u202e\u2028"
        key, value, bridge, inside = (f"k{steering}", f"v{steering}\u00e4", "b\x9bx", "e\x85x")
        options = ("--opt", f"label.{key}={value}")
        made = self.bn("--json", "network", "create", "net", "--bridge", bridge, *options)
        made += self.bn("--json", "attach", "net", "c1", "--netns", self.net.endpoint("c1").path,
                        "--ifname", inside, *options)
        text = self.bn("attach", "net", "c2", "--netns", self.net.endpoint("c2").path, "--ifname",
                       inside, *options)
        shown = {argv: self.bn("--json", *argv) for argv in (
            ("network", "inspect", "net"), ("ps", "-v"), ("rules", "-v"))}
        for out in (made, text, *shown.values(), *(self.bn(*argv) for argv in shown),
                    self.bn.result("network", "rm", f"x{steering}").stderr,
                    self.bn.result(f"x{steering}").stderr):
            bad = {letter for letter in out if letter != "\n" and (
                letter < " " or "\x7f" <= letter < "\xa0" or letter in steering[5:])}
            self.assertEqual(set(), bad, out)
        network, endpoints, rules = (json.loads(out) for out in shown.values())
        self.assertEqual((bridge, bridge, value),
                         (network["bridge"], network["interface"]["name"],
                          network["options"][f"label.{key}"]))
        self.assertEqual((inside, inside, value),
                         (endpoints[0]["interface_name"], endpoints[0]["interface"]["name"],
                          endpoints[0]["options"][f"label.{key}"]))
        self.assertTrue(any(bridge in rule["in_interface"] for rule in rules))

    def test_a_host_port_twice_in_one_call(self):
        """Nobody else has it: the sentence says so."""
        self.create()
        namespace = self.net.endpoint("c1")
        said = ("host port 8080/tcp is asked for twice in one call: 0.0.0.0:8080->80 has it too; "
                "name it once")
        for ports in (("8080:80", "8080:81"), ("8080:80", "127.0.0.1:8080:80"),
                      ("8080:80", "8080:80"), ("8080:80", "8079-8081:79-81")):
            words = [word for port in ports for word in ("-p", port)]
            with self.subTest(ports=ports):
                self.fails("attach", "net", "c1", "--netns", namespace.path, *words, mention=said)
                self.fails("run", "--network", "net", *words, "--", "true", code=125, mention=said)
        self.attach("net", "c1", namespace=namespace)
        self.fails("publish", "net", "c1", "-p", "8080:80", "-p", "8080:81", mention=said)
        self.fails("publish", "net", "c1", "-p", "8000-8009:80-89", "-p", "8005-8014:85-94",
                   mention="host port 8005/tcp is asked for twice in one call: "
                           "0.0.0.0:8000-8009->80-89 has it too")
        self.bn("publish", "net", "c1", "-p", "8080:80", "-p", "8080:80/udp")
        self.fails("publish", "net", "c1", "-p", "81:81", "-p", "8080:80", mention="endpoint c1")

    def test_output_that_cannot_be_written(self):
        with open("/dev/full", "w") as full:
            process = self.bn.popen("network", "ls", stdout=full, stderr=-1)
            self.processes.append(process)
            _, error = process.communicate(timeout=PATIENCE)
        self.assertEqual(1, process.returncode)
        self.assertRegex(error, r"\Abn: [^\n]+\n\Z")

    def test_order_of_options_is_free(self):
        self.bn("network", "create", "--subnet", "172.30.0.0/24", "blue", "--mtu", "1400")
        self.assertIn("172.30.0.0/24", self.bn("network", "inspect", "blue"))

    def test_ps_verbose_looks_like_ifconfig(self):
        self.create()
        self.attach("net", "c1")
        text = self.bn("ps", "-v")
        for word in ("eth0", "02:42:ac:", "mtu", "RX", "TX", "packets", "bytes", "errors",
                     "dropped"):
            self.assertIn(word, text)


if __name__ == "__main__":
    unittest.main()
