# SPDX-License-Identifier: LGPL-2.1-or-later
"""Names as data: of endpoints, and the files that tell them to a namespace."""
import os
import tempfile

from topology import KernelTest, for_backend, run

UPSTREAM = "/run/systemd/resolve/resolv.conf"


@for_backend("nftables")
class Names(KernelTest):
    def resolv_conf(self, text, upstream=None):
        """The host's, for this test: mounts are its own."""
        file = tempfile.NamedTemporaryFile("w", dir="/run", delete=False)
        file.write(text)
        file.close()
        run("mount", "--bind", file.name, "/etc/resolv.conf")
        self.addCleanup(run, "umount", "/etc/resolv.conf")
        if upstream is not None:
            os.makedirs(os.path.dirname(UPSTREAM), exist_ok=True)
            with open(UPSTREAM, "w", encoding="ascii") as there:
                there.write(upstream)
            self.addCleanup(os.unlink, UPSTREAM)

    def files(self, network="net", endpoint="c1"):
        return self.bn.json("files", network, endpoint)

    def rows(self, *argv):
        return {(row["name"], row["network"], row["endpoint"], row["address"])
                for row in self.bn.json("names", *argv)}

    def test_a_row_for_each_name_and_address(self):
        self.create("net", dual=True)
        self.create("other", "--subnet", "172.31.0.0/24")
        self.attach("net", "c1", "--ip", "172.30.0.7", "--ip", "fd00:30::7", "--hostname",
                    "web.example", "--opt", "alias.www=", "--opt", "alias.db=")
        self.attach("other", "c2", "--ip", "172.31.0.9", "--opt", "alias.www=")
        first = {(name, "net", "c1", address) for name in ("c1", "web.example", "www", "db")
                 for address in ("172.30.0.7", "fd00:30::7")}
        second = {(name, "other", "c2", "172.31.0.9") for name in ("c2", "www")}
        self.assertEqual(first, self.rows("net"))
        self.assertEqual(first | second, self.rows())
        self.assertIn("172.31.0.9", self.bn("names", "other"))
        self.bn("detach", "net", "c1")
        self.assertEqual(second, self.rows())
        self.fails("names", "nonesuch", mention=("nonesuch",))

    def test_an_alias_is_a_host_name(self):
        """It goes into files: nothing that is more than a name."""
        self.create("net")
        for name in ("a b", "-a", "a_b", "x" * 64, "a\tb"):
            result = self.bn.result("attach", "net", "c1", "--netns",
                                    self.net.endpoint("c1").path, "--opt", f"alias.{name}=")
            self.assertEqual(1, result.returncode, (name, result.stderr))
        result = self.bn.result("attach", "net", "c1", "--netns", self.net.endpoint("c1").path,
                                "--opt", "alias.a=x")
        self.assertIn("can't be 'x'", result.stderr)
        self.assertEqual(set(), self.rows())

    def test_hosts_has_own_names_and_those_of_neighbours(self):
        self.resolv_conf("nameserver 192.0.2.53\n")
        self.create("net", dual=True)
        self.create("far", "--subnet", "172.31.0.0/24")
        inside = self.attach("net", "c1", "--ip", "172.30.0.7", "--ip", "fd00:30::7",
                             "--hostname", "web")
        self.attach("net", "c2", "--ip", "172.30.0.8", "--ip", "fd00:30::8", "--opt",
                    "alias.db=")
        self.attach("far", "c3", "--ip", "172.31.0.9")
        hosts = self.files()["hosts"]
        self.assertEqual("127.0.0.1 localhost\n"
                         "::1 localhost ip6-localhost ip6-loopback\n"
                         "ff02::1 ip6-allnodes\nff02::2 ip6-allrouters\n"
                         "172.30.0.7 web c1\nfd00:30::7 web c1\n"
                         "172.30.0.8 c2 db\nfd00:30::8 c2 db\n", hosts)
        # and in a namespace of two networks those of both
        self.attach("far", "c1", "--ip", "172.31.0.10", namespace=inside)
        both = self.files("far")["hosts"].splitlines()
        for line in ("172.30.0.7 web c1", "172.31.0.10 c1", "172.30.0.8 c2 db", "172.31.0.9 c3"):
            self.assertIn(line, both)
        self.assertNotIn("::1", self.files("far", "c3")["hosts"])
        # a resolver of the namespace itself reads them so
        path = tempfile.mktemp(dir="/run")
        with open(path, "w", encoding="ascii") as file:
            file.write(hosts)
        run("mount", "--bind", path, "/etc/hosts")
        self.addCleanup(run, "umount", "/etc/hosts")
        said = run("getent", "-s", "hosts:files", "hosts", "db").stdout
        self.assertIn(said.split()[0], ("172.30.0.8", "fd00:30::8"), said)

    def test_resolv_conf_of_the_host_is_kept_less_what_is_out_of_reach(self):
        self.resolv_conf("# the host's\nnameserver 127.0.0.1\nnameserver 192.0.2.53\n"
                         "nameserver 2001:db8::53\nnameserver fe80::1%eth0\nnameserver ::1\n"
                         "search example.com example.org\noptions ndots:2  timeout:1\n")
        self.create("net")
        self.attach("net", "c1")
        self.assertEqual("nameserver 192.0.2.53\nsearch example.com example.org\n"
                         "options ndots:2  timeout:1\n", self.files()["resolv_conf"])
        self.create("dual", "--subnet", "172.31.0.0/24", "--subnet", "fd00:31::/64")
        self.attach("dual", "c2")
        self.assertIn("nameserver 2001:db8::53\n", self.files("dual", "c2")["resolv_conf"])

    def test_the_upstreams_of_a_resolver_on_the_host(self):
        self.resolv_conf("nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch .\n",
                         "nameserver 192.0.2.1\nnameserver 192.0.2.2\nsearch example.com\n")
        self.create("net")
        self.attach("net", "c1")
        self.assertEqual("nameserver 192.0.2.1\nnameserver 192.0.2.2\nsearch example.com\n",
                         self.files()["resolv_conf"])

    def test_no_nameserver_is_a_sentence(self):
        self.resolv_conf("nameserver 127.0.0.1\n")
        self.create("net")
        self.attach("net", "c1")
        self.fails("files", "net", "c1", mention=("/etc/resolv.conf", "loopback", "option dns"))
        self.create("asked", "--subnet", "172.31.0.0/24", "--opt", "dns=192.0.2.7,2001:db8::7")
        self.attach("asked", "c2")
        self.assertEqual("nameserver 192.0.2.7\nnameserver 2001:db8::7\n",
                         self.files("asked", "c2")["resolv_conf"])

    def test_what_has_no_address_has_no_files(self):
        self.bn("attach", "none", "c1", "--netns", self.net.endpoint("c1").path)
        self.fails("files", "none", "c1", mention=("c1", "none", "no address"))
        self.fails("files", "none", "c9", mention=("c9",))
