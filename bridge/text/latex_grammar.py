"""The grammar of formulas: reads the tokens of LaTeX as a Chinese teacher would say them."""

from collections.abc import Callable
from dataclasses import dataclass

from bridge.text.latex_tokens import Cursor, Token, Unreadable, read_tokens
from bridge.text.latex_words import (
    ALIGNED,
    BIG,
    ENVIRONMENTS,
    FUNCTIONS,
    NUMBER_SETS,
    OVER,
    PREFIXES,
    RELATIONS,
    SIGNED,
    WORDS,
)
from bridge.text.numbers_zh import read_number
from bridge.text.units import UNITS

__all__ = ["Formula"]


@dataclass(frozen=True, slots=True)
class _Operand:
    reading: str
    kind: str = ""
    """What may change how its neighbours are read: ``number``, ``letter``, ``unit``…"""


class Formula:
    """A parser that writes down what it reads; every method starts behind what the one before has read."""

    def __init__(self, formula: str) -> None:
        self._tokens = Cursor(read_tokens(formula))

    def read(self) -> str:
        """The whole formula, or nothing if it is empty.

        Raises:
            Unreadable: If any of it has no reading.
        """
        return self._sequence()

    def _sequence(self, *ends: str) -> str:
        """Operands and what stands between them, up to one of `ends` or the end of all."""
        self._tokens.dive()
        parts: list[str] = []
        before = _Operand("", "none")
        while not self._tokens.is_at_end and self._tokens.peek() not in ends:
            sign = self._tokens.peek()
            if sign in SIGNED:
                parts.append(SIGNED[self._tokens.take().value][before.kind != "none"])
                before = _Operand("", "none")
            elif sign in RELATIONS or sign in (",", ";", ".", "?"):
                parts.append(RELATIONS.get(sign, "，"))
                self._tokens.take()
                before = _Operand("", "none")
            elif sign == "|" and before.kind != "none" and not self._tokens.has_partner():
                # P(A|B), of a probability.
                self._tokens.take()
                parts.append("给定")
                before = _Operand("", "none")
            elif sign == r"\not":
                self._tokens.take()
                parts.append("不" + RELATIONS[self._tokens.take_one(*RELATIONS)])
                before = _Operand("", "none")
            else:
                operand = self._scripts(self._operand(before))
                if before.kind == "number" and operand.kind == "fraction":
                    parts.append("又")
                parts.append(operand.reading)
                before = operand
        self._tokens.rise()
        return _join(parts).rstrip("，")

    def _argument(self, *, is_digit: bool = False) -> _Operand:
        r"""What a command takes: a group, or the one token behind it.

        Args:
            is_digit: Whether a number gives one digit alone: ``\frac23`` is 三分之二, but not ``x^10``.
        """
        if is_digit and (digit := self._tokens.take_digit()):
            return _Operand(read_number(digit) or "", "number")
        self._tokens.dive()
        argument = self._group() if self._tokens.peek() == "{" else self._operand(_Operand("", "none"))
        self._tokens.rise()
        return argument

    def _group(self) -> _Operand:
        self._tokens.take_one("{")
        begin = self._tokens.at
        reading = self._sequence("}")
        is_single = self._tokens.at - begin == 1
        kind = self._tokens.give_back().kind if is_single else ""
        if is_single:
            self._tokens.take()
        self._tokens.take_one("}")
        return _Operand(reading, kind)

    def _operand(self, before: _Operand) -> _Operand:
        token = self._tokens.take()
        if token.kind == "text" and before.kind == "number" and token.value in UNITS:
            return _roman(token, before)
        if token.kind in ("number", "letter", "text"):
            # "0." stands before a recurring digit.
            number = token.value.removesuffix(".")
            point = "点" if number != token.value and token.kind == "number" else ""
            return _Operand((read_number(number) or token.value) + point, token.kind)
        if token.kind in ("unit", "roman"):
            return _roman(token, before)
        if token.value in PREFIXES:
            return _Operand(PREFIXES[token.value], "prefix")
        if token.value in WORDS:
            return _Operand(WORDS[token.value], "letter")
        read = _STRUCTURES.get(token.value)
        if read is None:
            raise Unreadable
        return read(self, token.value, before)

    def _enclosed(self, value: str, before: _Operand) -> _Operand:
        self._tokens.give_back()
        return self._group()

    def _absolute(self, value: str, before: _Operand) -> _Operand:
        inner = self._sequence(value)
        self._tokens.take_one(value)
        if not inner:
            raise Unreadable
        return _Operand(inner + ("的模" if inner.startswith("向量") else "的绝对值"), "bracket")

    def _fraction(self, value: str, before: _Operand) -> _Operand:
        upper, lower = self._argument(is_digit=True), self._argument(is_digit=True)
        if value == r"\binom":
            return _Operand(_join(["组合数C", upper.reading, lower.reading]))
        is_plain = upper.kind == lower.kind == "number"
        return _Operand(_join([lower.reading, "分之", upper.reading]), "fraction" if is_plain else "")

    def _number_set(self, value: str, before: _Operand) -> _Operand:
        letters = self._argument().reading
        return _Operand(NUMBER_SETS.get(letters, letters), "set")

    def _root(self, value: str, before: _Operand) -> _Operand:
        degree = ""
        if self._tokens.peek() == "[":
            self._tokens.take()
            degree = self._sequence("]") + "次"
            self._tokens.take_one("]")
        return _Operand(_join([degree + "根号下", self._argument().reading]))

    def _arc(self, value: str, before: _Operand) -> _Operand:
        is_grouped = self._tokens.peek() == "{"
        if is_grouped:
            self._tokens.take()
        self._tokens.take_one(r"\frown")
        if is_grouped:
            self._tokens.take_one("}")
        return _Operand(_join(["弧", self._argument().reading]))

    def _over(self, value: str, before: _Operand) -> _Operand:
        argument = self._argument()
        prefix, suffix = OVER[value]
        if value == r"\overline" and len(argument.reading) == 1:
            prefix, suffix = OVER[r"\bar"]
        elif value == r"\dot" and argument.kind == "number":
            suffix = "循环"
        return _Operand(_join([prefix, argument.reading, suffix]), "letter")

    def _bracket(self, opening: str, before: _Operand) -> _Operand:
        inner = self._sequence(")", "]")
        closing = self._tokens.take_one(")", "]")
        if opening == "[" and closing == "]":
            if inner.count("，") == 1:
                return _Operand("闭区间" + inner.replace("，", "到"), "bracket")
            return _Operand(_join(["中括号", inner, "反中括号"]))
        if closing != {"(": ")", "[": "]"}[opening]:
            sides = "左开右闭区间" if opening == "(" else "左闭右开区间"
            return _Operand(sides + inner.replace("，", "到"), "bracket")
        if before.reading.removesuffix("撇") in ("f", "g", "h", "F", "G", "斐"):
            return _Operand(inner, "letter")
        return _Operand(_join(["括号内", inner]), "bracket")

    def _braces(self, value: str, before: _Operand) -> _Operand:
        if self._tokens.peek() == r"\begin":
            self._tokens.take()
            block = self._block(value, before)
            if self._tokens.peek() == r"\}":
                self._tokens.take()
            return block if not block.reading else _Operand(_join(["方程组，", block.reading]))
        reading = self._sequence(r"\}", "|", r"\mid", ":")
        if self._tokens.peek() != r"\}":
            self._tokens.take()
            reading = _join([reading, "满足", self._sequence(r"\}")])
        self._tokens.take_one(r"\}")
        return _Operand(_join(["大括号", reading, "反大括号"]))

    def _block(self, value: str, before: _Operand) -> _Operand:
        name = self._name()
        if name == "array" and self._tokens.peek() == "{":
            self._name()
        rows: list[list[str]] = [[]]
        while True:
            rows[-1].append(self._sequence("&", r"\\", r"\end"))
            end = self._tokens.take_one("&", r"\\", r"\end")
            if end == r"\end":
                break
            if end == r"\\":
                rows.append([])
        if self._name() != name or name not in ENVIRONMENTS:
            raise Unreadable
        is_aligned = name in ALIGNED
        has_cases = name == "cases" and any(len(row) > 1 for row in rows)
        title = "分段函数" if has_cases else ENVIRONMENTS[name]
        lines = [_join(row) if is_aligned else "，".join(filter(None, row)) for row in rows]
        return _Operand("，".join(filter(None, (title, *lines))))

    def _name(self) -> str:
        self._tokens.take_one("{")
        name = ""
        while self._tokens.peek() != "}":
            name += self._tokens.take().value
        self._tokens.take()
        return name

    def _function(self, value: str, before: _Operand) -> _Operand:
        below, above = self._limits()
        name = FUNCTIONS[value]
        if below and value == r"\log":
            return _Operand(_join([name, "以", below, "为底"]), "function")
        if below:
            return _Operand(_join([below, "时的" + name]), "function")
        if above:
            return _Operand(_join([name, above, "次方"]), "function")
        return _Operand(name, "function")

    def _big(self, value: str, before: _Operand) -> _Operand:
        below, above = self._limits()
        name = BIG[value]
        if not below:
            return _Operand(name.removeprefix("的") + "，", "function")
        if value.endswith("int"):
            limits = ["从", below, "到", above] if above else ["在", below, "上"]
        else:
            limits = [below, "到", above] if above else ["对", below]
        return _Operand(_join([*limits, name]) + "，", "function")

    def _limits(self) -> tuple[str, str]:
        """What stands below and above, in either order; empty where nothing does."""
        limits = {"_": "", "^": ""}
        while (sign := self._tokens.peek()) in limits and not limits[sign]:
            self._tokens.take()
            limits[sign] = self._argument().reading
        return limits["_"], limits["^"]

    def _scripts(self, base: _Operand) -> _Operand:
        below = ""
        while (sign := self._tokens.peek()) in ("_", "^", "!", "'", r"\dprime", "%"):
            self._tokens.take()
            if base.kind == "set" and sign in "_^" and self._tokens.take_alone("*", "+"):
                # N^* and N_+ are the positive numbers of their set.
                base = _Operand("正" + base.reading, "set")
            elif sign == "^" and self._tokens.take_alone("*", r"\ast"):
                base = _Operand(base.reading + "星", base.kind)
            elif sign == "%":
                base = _Operand("百分之" + base.reading if base.kind == "number" else base.reading + "百分号")
            elif sign == "_":
                argument = self._argument()
                below = argument.reading
                joint = "" if argument.kind in ("number", "letter", "text") else "下标"
                base = _Operand(_join([base.reading, joint, below]), base.kind)
            elif sign == "^":
                base = self._power(base, below)
            else:
                mark = {"!": "的阶乘", "'": "撇", r"\dprime": "两撇"}[sign]
                base = _Operand(base.reading + mark, base.kind)
        return base

    def _power(self, base: _Operand, below: str) -> _Operand:
        if self._tokens.take_alone(r"\circ"):
            return _Operand(base.reading + self._degrees(), base.kind)
        if self._tokens.take_alone("'"):
            return _Operand(base.reading + "撇", base.kind)
        above = self._argument()
        if base.kind == "unit" and above.reading in ("二", "三"):
            return _Operand({"二": "平方", "三": "立方"}[above.reading] + base.reading, "unit")
        letter = base.reading.removesuffix(below).strip()
        if below and letter in ("C", "A") and above.kind in ("number", "letter"):
            name = {"C": "组合数", "A": "排列数"}[letter]
            return _Operand(_join([name + letter, below, above.reading]))
        whole = "整体" if base.kind == "bracket" and base.reading.startswith("括号内") else ""
        return _Operand(_join([base.reading, whole + "的", above.reading, "次方"]), base.kind)

    def _degrees(self) -> str:
        """Behind a sign of degrees: of a thermometer if its letter follows."""
        return {"C": "摄氏度", "F": "华氏度"}.get(self._tokens.take_letter("CF"), "度")


_STRUCTURES: dict[str, Callable[[Formula, str, _Operand], _Operand]] = {
    "{": Formula._enclosed,
    "(": Formula._bracket,
    "[": Formula._bracket,
    r"\{": Formula._braces,
    "|": Formula._absolute,
    r"\|": Formula._absolute,
    r"\frac": Formula._fraction,
    r"\binom": Formula._fraction,
    r"\sqrt": Formula._root,
    r"\overset": Formula._arc,
    r"\mathbb": Formula._number_set,
    r"\begin": Formula._block,
    **dict.fromkeys(FUNCTIONS, Formula._function),
    **dict.fromkeys(BIG, Formula._big),
    **dict.fromkeys(OVER, Formula._over),
}
"""What each command or sign is read by that is neither operand nor relation by itself."""


def _roman(token: Token, before: _Operand) -> _Operand:
    """Upright letters: a unit behind a number, Rt of a right triangle, a function, or a name."""
    value = token.value
    if value == "Rt":
        return _Operand("直角", "prefix")
    upper, slash, lower = value.partition("/")
    if token.kind == "unit" or before.kind in ("number", "fraction", "unit"):
        names = [UNITS.get(part.strip()) for part in ((upper, lower) if slash else (upper,))]
        if None not in names:
            return _Operand("每".join(name.chinese for name in names if name is not None), "unit")
    if "\\" + value in FUNCTIONS:
        return _Operand(FUNCTIONS["\\" + value], "function")
    if not value.isalnum():
        raise Unreadable
    return _Operand(" ".join(value) if value.isascii() else value, "letter")


def _join(parts: list[str]) -> str:
    """Letters and Latin words apart, everything else side by side."""
    joined = ""
    for part in filter(None, parts):
        is_latin = joined[-1:].isascii() and joined[-1:].isalnum() and part[0].isascii() and part[0].isalnum()
        joined += (" " if is_latin else "") + part
    return joined
