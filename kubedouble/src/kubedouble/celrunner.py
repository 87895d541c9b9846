"""Evaluation of CEL as cel-go does it: `||`, `&&` and `?:` look at their right side only where the left asks for it.

celpy evaluates both sides, and an error inside a macro on a side that doesn't count escapes. Rules of CRDs rely on
`!isIP(a) || ip(a).family() == 4`.
"""

from __future__ import annotations

from typing import Any

import celpy
import lark
from celpy.celtypes import BoolType, ListType
from celpy.evaluation import CELEvalError, Evaluator


class ShortCircuit(Evaluator):  # type: ignore[misc]
    """One evaluation."""

    def sub_evaluator(self, ast: lark.Tree[Any]) -> ShortCircuit:
        return ShortCircuit(ast, activation=self.activation)

    def conditionalor(self, tree: lark.Tree[Any]) -> Any:
        return self._decided(tree, True)

    def conditionaland(self, tree: lark.Tree[Any]) -> Any:
        return self._decided(tree, False)

    def _decided(self, tree: lark.Tree[Any], by: bool) -> Any:
        """Either side decides when it is `by`, whatever the other one is; an error counts only where neither does."""
        left = self._side(tree.children[0])
        if len(tree.children) == 1 or _is(left, by):
            return left
        right = self._side(tree.children[1])
        if _is(right, by):
            return right
        return left if isinstance(left, CELEvalError) else right

    def _side(self, tree: Any) -> Any:
        try:
            return self.visit(tree)
        except CELEvalError as failed:
            return failed

    def expr(self, tree: lark.Tree[Any]) -> Any:
        """expr : conditionalor ["?" conditionalor ":" expr]"""
        if len(tree.children) == 1:
            return self.visit(tree.children[0])
        condition = self._side(tree.children[0])
        if isinstance(condition, CELEvalError):
            return condition
        return self.visit(tree.children[1 if condition else 2])

    def member_dot_arg(self, tree: lark.Tree[Any]) -> Any:
        name = str(tree.children[1])
        if name not in ("all", "exists") or len(tree.children) < 3:
            return super().member_dot_arg(tree)
        members = self.visit(tree.children[0])
        if isinstance(members, CELEvalError):
            return members
        body = self.build_ss_macro_eval(tree)
        by = name == "exists"
        result: Any = BoolType(not by)
        for member in members if isinstance(members, dict | list | ListType) else ():
            one = body(member)
            if _is(one, by):
                return one
            if isinstance(one, CELEvalError):
                result = one
        return result


def _is(value: Any, wanted: bool) -> bool:
    return isinstance(value, bool | BoolType) and bool(value) is wanted


class Runner(celpy.InterpretedRunner):  # type: ignore[misc]
    """What `celpy.Environment` makes of a compiled rule."""

    def evaluate(self, context: Any) -> Any:
        return ShortCircuit(ast=self.ast, activation=self.new_activation()).evaluate(context)
