"""What LaTeX commands and mathematical signs are called in Chinese, at school."""

from bridge.text.symbols import GREEK

__all__ = [
    "ALIGNED",
    "BIG",
    "ENVIRONMENTS",
    "FUNCTIONS",
    "IGNORED",
    "NUMBER_SETS",
    "OVER",
    "PREFIXES",
    "RELATIONS",
    "SIGNED",
    "SYNONYMS",
    "WORDS",
]


def _words(table: str) -> dict[str, str]:
    """One reading a line, behind all that is read so."""
    words: dict[str, str] = {}
    for line in table.strip().splitlines():
        *commands, reading = line.split()
        words.update(dict.fromkeys(commands, reading))
    return words


SYNONYMS = {
    "−": "-",
    "－": "-",
    "＋": "+",
    "（": "(",
    "）": ")",
    "＝": "=",
    "＜": "<",
    "＞": ">",
    "｜": "|",
    "∣": "|",
    "‖": r"\|",
    "±": r"\pm",
    "∓": r"\mp",
    "√": r"\sqrt",
    "∫": r"\int",
    "∑": r"\sum",
    "Σ": r"\sum",
    "∏": r"\prod",
    "′": "'",
    "″": r"\dprime",
    r"\vert": "|",
    r"\lvert": "|",
    r"\rvert": "|",
    r"\Vert": r"\|",
    r"\lVert": r"\|",
    r"\rVert": r"\|",
    r"\lbrace": r"\{",
    r"\rbrace": r"\}",
    r"\lbrack": "[",
    r"\rbrack": "]",
    r"\mathbf": r"\mathbb",
    r"\dfrac": r"\frac",
    r"\tfrac": r"\frac",
    r"\cfrac": r"\frac",
    r"\dbinom": r"\binom",
    r"\tbinom": r"\binom",
    r"\stackrel": r"\overset",
    r"\prime": "'",
    r"\percent": "%",
    r"\%": "%",
    r"\colon": ":",
    "：": ":",
}
"""Other ways to write the same."""

IGNORED = frozenset(
    _words(
        r"""
\, \; \: \! \> \quad \qquad \enspace \thinspace \hline \nonumber \strut ~ blank
\displaystyle \textstyle \scriptstyle \limits \nolimits style
\left \right \middle \big \Big \bigg \Bigg \bigl \bigr \Bigl \Bigr \biggl \biggr size
\boldsymbol \bm \mathcal \mathscr \mathsf \mathfrak \boxed \rm \bf \it \mathit \mathrm font
"""
    )
) | {"\\ "}
"""What changes the look alone; an argument of it is read as it stands."""

SIGNED = {"+": ("正", "加"), "-": ("负", "减"), r"\pm": ("正负", "加减"), r"\mp": ("负正", "减加")}
"""Reading before the first operand, and between two."""

RELATIONS = _words(
    r"""
\times × * \cdot · \ast ∗ 乘
\div ÷ / 除
= 等于
\ne \neq ≠ != 不等于
< \lt 小于
> \gt 大于
\le \leq \leqq \leqslant <= ≤ ≦ ⩽ 小于等于
\ge \geq \geqq \geqslant >= ≥ ≧ ⩾ 大于等于
\ll ≪ 远小于
\gg ≫ 远大于
\approx \thickapprox \doteq ≈ ≒ 约等于
\equiv ≡ 恒等于
\sim \backsim ∽ ∼ 相似于
\cong ≌ ≅ 全等于
\propto ∝ 正比于
\perp \bot ⊥ 垂直于
\parallel ∥ // 平行于
\nparallel ∦ 不平行于
\equalparallel 平行且相等于
\in ∈ 属于
\notin ∉ 不属于
\ni ∋ 包含元素
\subset \subseteq ⊂ ⊆ 包含于
\subsetneq \subsetneqq ⊊ 真包含于
\supset \supseteq ⊃ ⊇ 包含
\supsetneq \supsetneqq ⊋ 真包含
\nsubseteq ⊄ 不包含于
\cup ∪ 并
\cap ∩ 交
\setminus \backslash 减去集合
\land \wedge ∧ 且
\lor \vee ∨ 或
\to \rightarrow → -> 趋于
\Rightarrow \implies \Longrightarrow ⇒ => 推出
\Leftarrow \impliedby ⇐ 由后者推出
\iff \Leftrightarrow \Longleftrightarrow \leftrightarrow ⇔ ↔ 等价
\mapsto ↦ 映射到
\because ∵ 因为
\therefore ∴ 所以
: 比
\bmod \pmod \mod 模
\mid 整除
"""
)
"""Readings of what stands between two operands, or before one; a sign behind it has none before."""

PREFIXES = _words(
    r"""
\neg \lnot ¬ 非
\forall ∀ 任意
\exists ∃ 存在
\angle \measuredangle ∠ 角
\triangle △ 三角形
\parallelogram ▱ 平行四边形
\square \Box □ 正方形
\odot ⊙ 圆
\Delta 德尔塔
\nabla ∇ 梯度
\partial ∂ 偏
"""
)
"""Readings of what stands before its operand and changes nothing else."""

WORDS = _words(
    r"""
\infty ∞ 无穷大
\emptyset \varnothing ∅ 空集
\ldots \cdots \dots \vdots \ddots … ⋯ ... 省略号
\degree 度
℃ 摄氏度
℉ 华氏度
‰ 千分之
\complement ∁ 补集
\hbar h拔
\ell l
\circ ∘ 圈
\dprime 两撇
\$ 美元
\# 井号
\& 和
"""
)
"""Readings of operands."""
for _letter, _name in GREEK.items():
    for _spelling in {_letter, _letter.capitalize(), "var" + _letter}:
        WORDS.setdefault("\\" + _spelling, _name)
WORDS[r"\xi"] = WORDS[r"\Xi"] = GREEK["ksi"]
del WORDS[r"\Delta"]

FUNCTIONS = {
    r"\sin": "sine",
    r"\cos": "cosine",
    r"\tan": "tangent",
    r"\tg": "tangent",
    r"\cot": "cotangent",
    r"\ctg": "cotangent",
    r"\sec": "secant",
    r"\csc": "cosecant",
    r"\arcsin": "arc sine",
    r"\arccos": "arc cosine",
    r"\arctan": "arc tangent",
    r"\sinh": "双曲sine",
    r"\cosh": "双曲cosine",
    r"\tanh": "双曲tangent",
    r"\log": "log",
    r"\lg": "L G",
    r"\ln": "L N",
    r"\exp": "exp",
    r"\lim": "极限",
    r"\max": "最大值",
    r"\min": "最小值",
    r"\gcd": "最大公约数",
    r"\det": "行列式",
    r"\deg": "次数",
    r"\arg": "幅角",
    r"\dim": "维数",
}

BIG = {
    r"\sum": "求和",
    r"\prod": "连乘",
    r"\int": "的积分",
    r"\iint": "的二重积分",
    r"\oint": "的环路积分",
    r"\bigcup": "的并集",
    r"\bigcap": "的交集",
}
"""Operators with limits; the reading stands behind them."""

OVER = {
    r"\vec": ("向量", ""),
    r"\overrightarrow": ("向量", ""),
    r"\widehat": ("弧", ""),
    r"\wideparen": ("弧", ""),
    r"\overarc": ("弧", ""),
    r"\bar": ("", "拔"),
    r"\hat": ("", "帽"),
    r"\tilde": ("", "波浪"),
    r"\dot": ("", "点"),
    r"\underline": ("", ""),
    r"\overline": ("线段", ""),
}
"""Accents: what is read before and behind the letter below."""

NUMBER_SETS = {"R": "实数集", "N": "自然数集", "Z": "整数集", "Q": "有理数集", "C": "复数集"}

ALIGNED = frozenset(["aligned", "align", "align*", "gathered", "split", "equation"])
"""Blocks that only put one line below the other; their cells are one formula."""

ENVIRONMENTS = {
    "cases": "方程组",
    "array": "",
    "matrix": "矩阵",
    "pmatrix": "矩阵",
    "bmatrix": "矩阵",
    "vmatrix": "行列式",
} | dict.fromkeys(ALIGNED, "")
"""What a block is called before its rows are read."""
