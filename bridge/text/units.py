"""Units of measure and currencies: how they are written, and what they are called."""

from dataclasses import dataclass

__all__ = ["CURRENCIES", "UNITS", "Currency", "Unit", "english_unit"]


@dataclass(frozen=True, slots=True)
class Unit:
    chinese: str
    english: str
    """Singular."""
    plural: str = ""
    """Where it is not the singular with an s."""


@dataclass(frozen=True, slots=True)
class Currency:
    chinese: str
    english: str
    """Singular; the first word of the plural is built from the last word of it, unless `plural` is given."""
    plural: str = ""
    cent: str = ""
    """A hundredth of it; empty where it is read as a decimal number instead."""
    cents: str = ""


# One a line: how it is written (each of them), in Chinese, in English, its plural if that is not in s.
_UNIT_TABLE = """
nm|纳米|nanometer
μm,µm,um|微米|micrometer
mm|毫米|millimeter
cm|厘米|centimeter
dm|分米|decimeter
m|米|meter
km|千米|kilometer
ft|英尺|foot|feet
in|英寸|inch|inches
yd|码|yard
mi|英里|mile
mm²,mm2,mm^2|平方毫米|square millimeter
cm²,cm2,cm^2,㎠|平方厘米|square centimeter
dm²,dm2,dm^2|平方分米|square decimeter
m²,m2,m^2,㎡|平方米|square meter
km²,km2,km^2|平方千米|square kilometer
SqFt,sqft|平方英尺|square foot|square feet
ha|公顷|hectare
mm³,mm3,mm^3|立方毫米|cubic millimeter
cm³,cm3,cm^3,cc|立方厘米|cubic centimeter
dm³,dm3,dm^3|立方分米|cubic decimeter
m³,m3,m^3|立方米|cubic meter
km³,km3,km^3|立方千米|cubic kilometer
mL,ml|毫升|milliliter
L,l|升|liter
gal,gallon|加仑|gallon
tsp|茶匙|teaspoon
tbsp|汤匙|tablespoon
μg,µg,ug|微克|microgram
mg|毫克|milligram
g|克|gram
kg|千克|kilogram
t|吨|ton
lb,lbs|磅|pound
oz|盎司|ounce
min|分钟|minute
s,sec|秒|second
ms|毫秒|millisecond
h,hr|小时|hour
d|天|day
μA,µA,uA|微安|microamp
mA|毫安|milliamp
A|安|amp
mAh|毫安时|milliamp hour
Ω|欧姆|ohm
Hz|赫兹|hertz|hertz
kHz|千赫兹|kilohertz|kilohertz
MHz|兆赫兹|megahertz|megahertz
GHz|吉赫兹|gigahertz|gigahertz
V|伏|volt
kV|千伏|kilovolt
W|瓦|watt
kW|千瓦|kilowatt
kWh|千瓦时|kilowatt hour
J|焦|joule
kJ|千焦|kilojoule
cal|卡|calorie
kcal|千卡|kilocalorie
N|牛|newton
dB|分贝|decibel
Pa|帕|pascal
kPa|千帕|kilopascal
MPa,Mpa|兆帕|megapascal
mmHg|毫米汞柱|millimeter of mercury|millimeters of mercury
rpm|转每分|revolution per minute|revolutions per minute
B|字节|byte
KB,kB|千字节|kilobyte
MB|兆字节|megabyte
GB|吉字节|gigabyte
TB|太字节|terabyte
bps|比特每秒|bit per second|bits per second
kbps|千比特每秒|kilobit per second|kilobits per second
Mbps|兆比特每秒|megabit per second|megabits per second
℃,°C|摄氏度|degree celsius|degrees celsius
℉,°F|华氏度|degree fahrenheit|degrees fahrenheit
°|度|degree
"""
UNITS: dict[str, Unit] = {}
for _line in _UNIT_TABLE.strip().splitlines():
    _written, *_names = _line.split("|")
    for _spelling in _written.split(","):
        UNITS[_spelling] = Unit(*_names)

_CENTS = ("cent", "cents")
_CURRENCY_TABLE: dict[str, Currency] = {
    "CN¥ CNY": Currency("元", "yuan", "yuan"),
    "¥ ￥": Currency("元", "yuan", "yuan"),
    "RMB": Currency("人民币", "yuan", "yuan"),
    "AUD": Currency("澳元", "australian dollar", "", *_CENTS),
    "AU$ A$": Currency("澳元", "Australian dollar", "", *_CENTS),
    "CAD": Currency("加元", "canadian dollar", "", *_CENTS),
    "CA$ C$": Currency("加元", "Canadian dollar", "", *_CENTS),
    "HKD": Currency("港币", "hong kong dollar", "", *_CENTS),
    "HK$": Currency("港币", "Hong Kong dollar", "", *_CENTS),
    "SGD": Currency("新加坡元", "singapore dollar", "", *_CENTS),
    "SG$": Currency("新加坡元", "Singapore dollar", "", *_CENTS),
    "USD": Currency("美元", "united states dollar", "", *_CENTS),
    "US$": Currency("美元", "US dollar", "", *_CENTS),
    "$": Currency("美元", "dollar", "", *_CENTS),
    "EUR €": Currency("欧元", "euro", "", *_CENTS),
    "GBP": Currency("英镑", "british pound", "", "penny", "pence"),
    "£": Currency("英镑", "pound", "", "penny", "pence"),
    "JPY": Currency("日元", "japanese yen", "japanese yen", "sen", "sen"),
    "CHF": Currency("瑞士法郎", "swiss franc", "", "centime", "centimes"),
    "Fr": Currency("法郎", "franc", "", "centime", "centimes"),
    "DKK": Currency("丹麦克朗", "danish krone", "danish kroner", "øre", "øre"),
    "kr": Currency("丹麦克朗", "krone", "kroner", "øre", "øre"),
    "NOK": Currency("挪威克朗", "norwegian krone", "norwegian kroner", "øre", "øre"),
    "SEK": Currency("瑞典克朗", "swedish krona", "swedish kronor", "öre", "öre"),
}
CURRENCIES = {sign: currency for signs, currency in _CURRENCY_TABLE.items() for sign in signs.split()}


def english_unit(written: str, *, is_one: bool) -> str | None:
    """The English name of a unit or of one unit per another; None if it is unknown."""
    upper, _, lower = written.partition("/")
    unit = UNITS.get(upper.strip())
    if unit is None:
        return None
    name = unit.english if is_one else unit.plural or unit.english + "s"
    if not lower:
        return name
    per = UNITS.get(lower.strip())
    return None if per is None else f"{name} per {per.english}"
