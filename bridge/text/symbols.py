"""What marks and Greek letters are called, in Chinese and in English."""

__all__ = ["ENGLISH", "GREEK", "chinese_name", "english_name"]

# One a line: the characters (each of them), the Chinese name, the English name.
_TABLE = """
!！ 叹号 exclamation_mark
" 双引号 double_quote
# 井号 pound
$ dollar dollar
% 百分号 percent
& and and
' 单引号 apostrophe
(（ 左括号 left_parenthesis
)） 右括号 right_parenthesis
* 星号 asterisk
+ 加号 plus
,， 逗号 comma
- 杠 dash
. 点 dot
/ 斜杠 slash
:： 冒号 colon
;； 分号 semicolon
< 小于 less_than
= 等号 equals
> 大于 greater_than
?？ 问号 question_mark
@ at at
[【 左方括号 left_bracket
\\ 反斜线 backslash
]】 右方括号 right_bracket
^ 脱字符 caret
_ 下划线 underscore
` 反引号 backtick
{ 左花括号 left_brace
| 竖线 vertical_bar
} 右花括号 right_brace
~～ 波浪线 tilde
“ 左双引号 left_double_quote
” 右双引号 right_double_quote
‘ 左单引号 left_quote
’ 右单引号 right_quote
。 句号 full_stop
— 杠 em_dash
、 顿号 enumeration_comma
… 省略号 ellipsis
《 左书名号 left_guillemet
》 右书名号 right_guillemet
¥￥ 人民币符号 yuan
£ 英镑符号 pound_sign
€ 欧元符号 euro
≥ 大于等于 greater_than_or_equal_to
≤ 小于等于 less_than_or_equal_to
≠ 不等于 not_equal
≈ 约等于 approximately_equal
± 加减 plus_or_minus
× 乘 times
÷ 除 divided_by
° 度 degree
· 间隔号 middle_dot
Αα 阿尔法 alpha
Ββ 贝塔 beta
Γγ 伽玛 gamma
Δδ 德尔塔 delta
Εεϵ 艾普西龙 epsilon
Ζζ 捷塔 zeta
Ηη 依塔 eta
Θθϑ 西塔 theta
Ιι 艾欧塔 iota
Κκ 喀帕 kappa
Λλ∧ 拉姆达 lambda
Μμµ 缪 mu
Νν 拗 nu
Ξξ 克西 ksi
Οο 欧麦克轮 omicron
Ππ∏ 派 pi
Ρρ 柔 rho
Σσς∑ 西格玛 sigma
Ττ 套 tau
Υυ 宇普西龙 upsilon
Φφϕ 斐 phi
Χχ 器 chi
Ψψ 普赛 psi
Ωω 欧米伽 omega
"""

_CHINESE: dict[str, str] = {}
ENGLISH: dict[str, str] = {}
GREEK: dict[str, str] = {}
"""Chinese names of the Greek letters, by their English names."""
for _line in _TABLE.strip().splitlines():
    _characters, _chinese, _english = _line.split(" ")
    for _character in _characters:
        _CHINESE[_character] = _chinese
        ENGLISH[_character] = _english.replace("_", " ")
    if "\u0370" <= _characters[0] <= "\u03ff":
        GREEK[_english] = _chinese


def chinese_name(character: str) -> str | None:
    """The name of a mark or a Greek letter; None for anything else."""
    return _CHINESE.get(character)


def english_name(character: str) -> str | None:
    """The name of a mark or a Greek letter; None for anything else."""
    return ENGLISH.get(character)
