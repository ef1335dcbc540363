# SPDX-License-Identifier: LGPL-2.1-or-later
"""Host ports that are left to the library to choose, and taken away by the same words."""

import oracle
from topology import KernelTest, for_each_backend


def flags(specs):
    return [word for spec in specs for word in ("-p", spec)]


@for_each_backend
class Picks(KernelTest):
    def setUp(self):
        super().setUp()
        self.create(dual=True)
        self.attach("net", "c1")

    def ports(self, specs):
        """(container port, host port) as publishing them says."""
        self.bn("publish", "net", "c1", *flags(specs))
        return [(port["container_port"], port["host_port"])
                for port in oracle.ports(self.bn, "net", "c1")]

    def test_taken_away_by_the_words_that_published(self):
        for specs in (["8000-8010:80"], ["80"], ["0:80"], ["127.0.0.1::80"], ["80-89"],
                      ["53:53", "53:53/udp", "80/udp", "8000-8001:80"]):
            with self.subTest(specs=specs):
                self.assertEqual(len(specs), len(self.ports(specs)))
                self.bn("unpublish", "net", "c1", *flags(specs))
                self.assertEqual([], oracle.ports(self.bn, "net", "c1"))
                self.assertEqual({}, self.oracle.ports())

    def test_one_of_several_must_be_named(self):
        self.ports(["8003:80", "8005:80"])
        for spec in ("80", "8000-8010:80"):
            message = self.fails("unpublish", "net", "c1", "-p", spec, mention="8003:80/tcp")
            self.assertIn("8005:80/tcp", message)
        self.bn("unpublish", "net", "c1", "-p", "8004-8010:80")
        self.assertEqual([8003], [port["host_port"]
                                  for port in oracle.ports(self.bn, "net", "c1")])

    def test_a_range_of_one_is_chosen_after_what_is_named(self):
        self.assertEqual({(1, 8001), (2, 8000), (3, 8002)},
                         set(self.ports(["8000-8002:1", "8000:2", "8002:3"])))

    def test_results_in_the_order_of_the_request(self):
        specs = ["81", "8080:82", "83/udp", "9000-9009:84", "8081:85"]
        result = self.bn.json("publish", "net", "c1", *flags(specs))
        self.assertEqual([81, 82, 83, 84, 85], [port["container_port"] for port in result])

    def test_two_thousand_in_one_call(self):
        specs = [str(1 + i) for i in range(2000)]
        picked = self.ports(specs)
        self.assertEqual(2000, len({host for _, host in picked}))
