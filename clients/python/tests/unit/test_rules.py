"""Ids, endpoint names, exclusions, header reading and options."""

from __future__ import annotations

import re
import time
import unittest
import uuid

from lakepulse._endpoints import OTHER, Exclusions, PathNames, clean_template, reduce_path
from lakepulse._ids import instance_name, uuid7
from lakepulse._options import options_from
from lakepulse._record import identity_from, method_name, parse_rfc3339, rfc3339, text


class Ids(unittest.TestCase):
    def test_uuid7_has_version_variant_and_time(self) -> None:
        made = uuid.UUID(uuid7(1_700_000_000.123))
        self.assertEqual(made.version, 7)
        self.assertEqual(made.variant, uuid.RFC_4122)
        self.assertEqual(made.int >> 80, 1_700_000_000_123)

    def test_ids_are_distinct(self) -> None:
        self.assertEqual(len({uuid7(1.0) for _ in range(10_000)}), 10_000)

    def test_instances_of_one_name_are_told_apart(self) -> None:
        first, second = instance_name("web"), instance_name("web")
        self.assertTrue(first.startswith("web-"))
        self.assertNotEqual(first, second)


class Paths(unittest.TestCase):
    def test_what_varies_becomes_id(self) -> None:
        for path, name in {
            "/": "/",
            "/orders": "/orders",
            "/orders/123/items/4": "/orders/{id}/items/{id}",
            "/orders/550e8400-e29b-41d4-a716-446655440000": "/orders/{id}",
            "/commits/9fceb02d0ae598e95dc970b74767f19372d61af8": "/commits/{id}",
            "/users/jo@example.com/mail": "/users/{id}/mail",
            "/files/eyJhbGciOiJIUzI1NiJ9abcdef": "/files/{id}",
            "/decade/facade/v2": "/decade/facade/v2",
            "/a\x00b": "/{id}",
            "/" + "x" * 600: "/{id}",
            "/" + "a/" * 20: "/" + "a/" * 11 + "{rest}",
        }.items():
            with self.subTest(path):
                self.assertEqual(reduce_path(path), name)

    def test_templates_of_all_frameworks_look_alike(self) -> None:
        for template, name in {
            "/items/<int:item_id>": "/items/{item_id}",
            "/items/<item_id>": "/items/{item_id}",
            "/<any(a, b):kind>/x": "/{kind}/x",
            "/items/{item_id:int}": "/items/{item_id}",
            "/files/{path:path}": "/files/{path}",
            "": "/",
        }.items():
            with self.subTest(template):
                self.assertEqual(clean_template(template), name)

    def test_distinct_names_are_bounded(self) -> None:
        names = PathNames(2)
        self.assertEqual([names.name(p) for p in ("/a", "/b", "/c", "/a")], ["/a", "/b", OTHER, "/a"])

    def test_exclusions(self) -> None:
        exclusions = Exclusions(["/static/*", re.compile(r"/v\d+/probe$")])
        for path in ("/health", "/ready/", "/ping", "/internal/x", "/admin/system/y", "/static/a/b.js", "/v2/probe"):
            with self.subTest(path):
                self.assertTrue(exclusions.excludes(path))
        for path in ("/", "/healthy", "/internal", "/admin/systems", "/my/health", "/v2/probes", "/static"):
            with self.subTest(path):
                self.assertFalse(exclusions.excludes(path))


class Headers(unittest.TestCase):
    def test_the_email_comes_before_the_user_id(self) -> None:
        both = {"x-forwarded-email": "jo@example.com", "x-forwarded-user": "17@1"}
        self.assertEqual(identity_from(both, True).user_id, "jo@example.com")
        self.assertEqual(identity_from({"x-forwarded-user": "17@1"}, True).user_id, "17@1")
        self.assertIsNone(identity_from({"x-forwarded-email": " "}, True).user_id)

    def test_headers_that_anybody_can_send_name_nobody(self) -> None:
        self.assertIsNone(identity_from({"x-forwarded-email": "jo@example.com", "x-forwarded-user": "17"}, False).user_id)

    def test_a_trace_id_is_taken_from_a_valid_traceparent_only(self) -> None:
        good = "4bf92f3577b34da6a3ce929d0e0e4736"
        for value, trace in {
            f"00-{good}-00f067aa0ba902b7-01": good,
            f"00-{'0' * 32}-00f067aa0ba902b7-01": None,
            f"00-{good}": None,
            "nonsense": None,
        }.items():
            with self.subTest(value):
                self.assertEqual(identity_from({"traceparent": value}, False).trace_id, trace)

    def test_the_correlation_id_falls_back_to_the_request_id(self) -> None:
        self.assertEqual(identity_from({"x-correlation-id": "c", "x-request-id": "r"}, False).correlation_id, "c")
        self.assertEqual(identity_from({"x-request-id": "r"}, False).correlation_id, "r")

    def test_texts_fit_the_store(self) -> None:
        self.assertEqual(text("a\x00b"), "ab")
        self.assertEqual(text("\ud800"), "?")
        self.assertEqual(len(text("x" * 999) or ""), 255)
        self.assertIsNone(text("  "))

    def test_invented_methods_are_one(self) -> None:
        self.assertEqual([method_name(m) for m in ("get", "POST", "BREW")], ["GET", "POST", "_OTHER"])


class Times(unittest.TestCase):
    def test_times_survive_the_wire(self) -> None:
        now = time.time()
        self.assertAlmostEqual(parse_rfc3339(rfc3339(now)) or 0, now, places=5)

    def test_other_ways_to_write_a_time(self) -> None:
        for written in ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.0Z", "2026-01-02T04:04:05.000000000+01:00"):
            with self.subTest(written):
                self.assertEqual(parse_rfc3339(written), 1767323045.0)
        for written in ("yesterday", "2026-01-02T03:04:05", None, 5):
            with self.subTest(written):
                self.assertIsNone(parse_rfc3339(written))


class OptionRules(unittest.TestCase):
    def test_the_environment_fills_gaps(self) -> None:
        env = {"LAKEPULSE_URL": "http://c:1/", "LAKEPULSE_API_KEY": "lp_x", "LAKEPULSE_APP": "env"}
        made = options_from({"app_name": "given"}, env)
        self.assertEqual((made.url, made.api_key, made.app_name), ("http://c:1", "lp_x", "given"))

    def test_the_platforms_app_name_is_used_only_without_a_key(self) -> None:
        env = {"DATABRICKS_APP_NAME": "orders"}
        self.assertEqual(options_from({}, env).app_name, "orders")
        self.assertIsNone(options_from({"api_key": "lp_x"}, env).app_name)

    def test_forwarded_headers_count_inside_databricks_apps_or_when_told(self) -> None:
        apps, told = {"DATABRICKS_APP_NAME": "orders"}, "LAKEPULSE_TRUST_FORWARDED"
        for given, env, trusted in (
            ({}, {}, False),
            ({}, apps, True),
            ({"api_key": "lp_x"}, apps, True),
            ({"dev_user": "me@localhost"}, {}, True),
            ({}, {"LAKEPULSE_DEV_USER": "me@localhost"}, True),
            ({"trust_forwarded": True}, {}, True),
            ({"trust_forwarded": False}, apps, False),
            ({}, {told: "true"}, True),
            ({}, {told: "0", **apps}, False),
            ({"trust_forwarded": False}, {told: "1"}, False),
        ):
            with self.subTest(given=given, env=env):
                self.assertIs(options_from(given, env).trust_forwarded, trusted)

    def test_mistakes_are_told_at_start(self) -> None:
        for given, said in (
            ({"url": "ftp://x"}, "url"),
            ({"url": "http://u:p@x"}, "credentials"),
            ({"app_name": "no spaces"}, "app_name"),
            ({"app_version": "x" * 256}, "app_version"),
            ({"batch_size": 1001}, "batch_size"),
            ({"buffer_size": 0}, "buffer_size"),
            ({"flush_interval": 0}, "flush_interval"),
            ({"api_key": "k", "dev_user": "u"}, "dev_user"),
            ({"api_key": "k\nX: y"}, "api_key"),
            ({"exclude": "/x"}, "exclude"),
            ({"trust_forwarded": "perhaps"}, "LAKEPULSE_TRUST_FORWARDED"),
        ):
            with self.subTest(given), self.assertRaisesRegex(ValueError, said):
                options_from(given, {})
        with self.assertRaisesRegex(TypeError, "unknown option flush"):
            options_from({"flush": 1}, {})

    def test_secrets_are_not_in_the_repr(self) -> None:
        self.assertNotIn("lp_secret", repr(options_from({"api_key": "lp_secret"}, {})))


if __name__ == "__main__":
    unittest.main()
