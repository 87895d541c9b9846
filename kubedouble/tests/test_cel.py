"""CEL rules of CRDs, and the sentences of their refusals."""

from __future__ import annotations

from typing import Any

import pytest

from kubedouble.cel import compile_rules


def rule(text: str, value: Any, old: Any = None, **schema: Any) -> list[str]:
    """What a rule at the root says of an object."""
    rules = compile_rules({"x-kubernetes-validations": [{"rule": text}], **schema})
    assert not rules.errors("")
    return [cause.message for cause in rules.check(value, old)]


class TestCel:
    @pytest.mark.parametrize(
        "text",
        [
            "isIP('10.0.0.1') && isIP('fd00::1') && !isIP('10.0.0.256')",
            "!isIP('::ffff:1.2.3.4') && !isIP('010.1.1.1')",
            "isCIDR('10.0.0.0/8') && isCIDR('10.1.1.1/8') && !isCIDR('10.0.0.0') && !isCIDR('10.0.0.0/33')",
            "ip('10.0.0.1').family() == 4 && ip('fd00::1').family() == 6",
            "ip('fd00::1') == ip('fd00:0::1') && ip.isCanonical('fd00::1') && !ip.isCanonical('fd00:0::1')",
            "cidr('10.0.0.0/8').containsIP('10.1.2.3') && !cidr('10.0.0.0/8').containsIP(ip('11.0.0.1'))",
            "!cidr('10.0.0.0/8').containsIP(ip('fd00::1'))",
            "cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16') && !cidr('10.1.0.0/16').containsCIDR(cidr('10.0.0.0/8'))",
            "cidr('10.1.2.3/8').masked() == cidr('10.0.0.0/8') && cidr('10.1.2.3/8').ip() == ip('10.1.2.3')",
            "cidr('10.0.0.0/26').prefixLength() == 26 && string(ip('10.0.0.1')) == '10.0.0.1'",
            "ip('127.0.0.1').isLoopback() && ip('0.0.0.0').isUnspecified() && ip('8.8.8.8').isGlobalUnicast()",
            "ip('fe80::1').isLinkLocalUnicast() && ip('224.0.0.5').isLinkLocalMulticast()",
            "'10.0.0.1-10.0.0.9'.split('-').all(part, isIP(part))",
            "'a-b'.replace('-', '+') == 'a+b' && ' x '.trim() == 'x' && 'Ab'.lowerAscii() == 'ab'",
            "'hello'.substring(1, 3) == 'el' && 'hello'.indexOf('l') == 2 && 'hello'.lastIndexOf('l') == 3",
            "'a1b22'.findAll('[0-9]+') == ['1', '22'] && 'abc'.matches('^a.c$') && 'x%d'.format([3]) == 'x3'",
            "[1, 2].isSorted() && [1, 2].sum() == 3 && [1, 3].max() == 3 && [1, 2].indexOf(2) == 1",
            "[1, 2, 3].exists_one(x, x == 2) && ['a', 'b'].join('-') == 'a-b' && size('abc') == 3",
        ],
    )  # fmt: skip
    def test_functions(self, text: str) -> None:
        assert rule(text, {}) == []

    def test_names_that_are_no_identifiers_are_escaped(self) -> None:
        properties = {"a-b": {"type": "string"}, "namespace": {"type": "string"}}

        assert rule("self.a__dash__b == 'x' && self.__namespace__ == 'y'", {"a-b": "x", "namespace": "y"},
                    properties=properties) == []  # fmt: skip

    def test_a_message_can_be_made_by_an_expression(self) -> None:
        rules = compile_rules(
            {
                "type": "object",
                "x-kubernetes-validations": [
                    {"rule": "self.n < 3", "messageExpression": "'%d is too much'.format([self.n])", "fieldPath": ".n"}
                ],
            }
        )

        assert [cause.sentence() for cause in rules.check({"n": 4}, None)] == ["n: Invalid value: 4 is too much"]

    def test_a_transition_rule_waits_for_an_old_value(self) -> None:
        assert rule("self.n >= oldSelf.n", {"n": 1}) == []
        assert rule("self.n >= oldSelf.n", {"n": 1}, {"n": 2}) == ["Invalid value: failed rule: self.n >= oldSelf.n"]

    @pytest.mark.parametrize(
        "text",
        [
            "!isIP(self.s) || [ip(self.s)].all(a, a.family() == 4)",
            "['x'].all(a, !isIP(self.s) || cidr(self.s + '/8').containsIP('10.0.0.1'))",
            "isIP(self.s) && ip(self.s).family() == 4 ? false : true",
            "['a', self.s].exists(a, a == 'a' || ip(a).family() == 4)",
        ],
    )
    def test_what_is_decided_on_the_left_is_not_asked_on_the_right(self, text: str) -> None:
        assert rule(text, {"s": "no address"}) == []

    def test_an_error_that_nothing_decides_refuses(self) -> None:
        [sentence] = rule("ip(self.s).family() == 4 || self.n > 5", {"s": "no address", "n": 1})

        assert "unable to parse IP evaluating rule" in sentence

    def test_a_pattern_that_re2_refuses_refuses_the_object(self) -> None:
        [sentence] = rule("'eth0'.matches(self.s) in [true, false]", {"s": "(?!lo)"})

        assert "error parsing regexp: " in sentence
        assert rule("'eth0'.matches(self.s) in [true, false]", {"s": "^lo$"}) == []

    def test_what_an_update_leaves_as_it_was_is_not_checked_again(self) -> None:
        assert rule("self.n > 5", {"n": 1}, {"n": 1}) == []
        assert rule("self.n > 5", {"n": 2}, {"n": 1}) != []

    def test_items_of_a_keyed_list_are_compared_with_their_old_selves(self) -> None:
        item = {
            "type": "object",
            "properties": {"name": {"type": "string"}, "n": {"type": "integer"}},
            "x-kubernetes-validations": [{"rule": "self.n == oldSelf.n", "message": "fixed"}],
        }
        rules = compile_rules(
            {"type": "array", "items": item, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
        )
        old: Any = [{"name": "a", "n": 1}, {"name": "b", "n": 2}]
        new: Any = [{"name": "b", "n": 3}, {"name": "c", "n": 9}, {"name": "a", "n": 1}]

        assert [cause.field for cause in rules.check(new, old)] == ["[0]"]

    def test_what_can_not_be_evaluated_is_a_refusal(self) -> None:
        assert "unable to parse IP" in rule("ip(self.a).family() == 4", {"a": "z"})[0]
        assert "no such key: b" in rule("self.b == 1", {"a": 1})[0]

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("self.", "Syntax error"),
            ("nonsense(self)", "undeclared reference to 'nonsense'"),
            ("other.a == 1", "undeclared reference to 'other'"),
            ("self.b == 1", "undefined field 'b'"),
        ],
    )
    def test_what_does_not_compile_is_said_at_the_definition(self, text: str, why: str) -> None:
        schema = {"properties": {"a": {"type": "string"}}, "x-kubernetes-validations": [{"rule": text}]}

        errors = compile_rules(schema).errors("schema")

        assert [error.field for error in errors] == ["schema.x-kubernetes-validations[0].rule"]
        assert why in errors[0].message
