"""The tools of `--tools builtin`: what time it is, and arithmetic that is right."""

import ast
import decimal
import math
import operator
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

__all__ = ["calculate", "current_time"]

_LONGEST = 300
"""Characters of an expression: what can be said is shorter, and parsing stays instant."""
_DEEPEST = 40
"""Operations inside each other."""
_DIGITS = 30
_LARGEST = 999
"""The power of ten that no number may reach: with so few digits and powers, no operation takes long."""
_MOST_ITEMS = 100  # of a function

_CONTEXT = decimal.Context(
    prec=_DIGITS + 5,
    Emax=_LARGEST,
    Emin=-_LARGEST,
    traps=[decimal.DivisionByZero, decimal.InvalidOperation, decimal.Overflow],
)
_SIGNS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "^": "**"})  # noqa: RUF001


def current_time(zone: str = "") -> str:
    """The date, the weekday and the time of day now.

    Args:
        zone: An IANA time zone, such as Europe/Paris; empty for the user's own.
    """
    if not zone:
        now = datetime.now().astimezone()
        return f"{now:%A, %Y-%m-%d %H:%M:%S} ({now.tzname()}, UTC{now:%z})"
    from zoneinfo import ZoneInfo

    try:
        now = datetime.now(ZoneInfo(zone))
    except (KeyError, ValueError, OSError) as error:  # unknown, no name of a file, or a folder
        raise ValueError(f"There is no time zone {zone!r}. Give an IANA name such as Europe/Paris.") from error
    return f"{now:%A, %Y-%m-%d %H:%M:%S} ({zone}, UTC{now:%z})"


def calculate(expression: str) -> str:
    """The value of an arithmetic expression, to 30 digits.

    Args:
        expression: Numbers with + - * / // % ** and parentheses, pi, e, and the functions abs, round, floor, ceil,
            min, max, sqrt, exp, ln, log10, log (of a number to a base), factorial, and sin, cos, tan, asin, acos,
            atan, degrees, radians (in radians).
    """
    text = expression.translate(_SIGNS).strip()
    if len(text) > _LONGEST:
        raise ValueError(f"The expression is longer than {_LONGEST} characters.")
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"{expression!r} is not an arithmetic expression.") from error
    with decimal.localcontext(_CONTEXT):
        try:
            value = _value(_exact(tree, text).body, 0)
            if not value.is_finite():
                raise decimal.Overflow
            return _written(value)
        except decimal.DivisionByZero:
            raise ValueError("It divides by zero.") from None
        except decimal.Overflow:
            raise ValueError(f"The result, or a part of it, is infinite or has over {_LARGEST} digits.") from None
        except decimal.InvalidOperation:
            raise ValueError("It has no value among the real numbers.") from None


def _exact(tree: ast.Expression, text: str) -> ast.Expression:
    """The tree with its numbers as they are written: Python keeps 17 digits of one with a point."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            node.value = Decimal(ast.get_source_segment(text, node) or str(node.value))  # type: ignore[assignment]
    return tree


def _value(node: ast.expr, depth: int) -> Decimal:
    if depth > _DEEPEST:
        raise ValueError(f"More than {_DEEPEST} operations stand inside each other.")
    match node:
        case ast.Constant(value=int() | Decimal() as number) if not isinstance(number, bool):
            return +Decimal(number)
        case ast.Name(id=name) if name in _CONSTANTS:
            return Decimal(str(_CONSTANTS[name]))
        case ast.UnaryOp(op=ast.UAdd() | ast.USub() as sign, operand=operand):
            value = _value(operand, depth + 1)
            return value if isinstance(sign, ast.UAdd) else -value
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
            return _OPERATIONS[type(op)](_value(left, depth + 1), _value(right, depth + 1))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            if len(args) > _MOST_ITEMS:
                raise ValueError(f"{name} takes at most {_MOST_ITEMS} numbers.")
            return _call(name, [_value(arg, depth + 1) for arg in args])
        case ast.Tuple():
            raise ValueError("Write numbers without commas: 1000.5")
        case ast.Call(func=ast.Name(id=name)) if name in _FUNCTIONS or name in _CONSTANTS:
            raise ValueError(f"{ast.unparse(node)}: {name} cannot be called so.")
        case ast.Name(id=name) | ast.Call(func=ast.Name(id=name)):
            raise ValueError(f"{name} is not known. There are {', '.join((*_CONSTANTS, *_FUNCTIONS))}.")
    raise ValueError(f"{ast.unparse(node)} is no number, and no operation on numbers.")


def _call(name: str, args: list[Decimal]) -> Decimal:
    try:
        return _FUNCTIONS[name](*args)
    except TypeError:
        raise ValueError(f"{name} does not take {len(args)} numbers.") from None
    except (ValueError, OverflowError) as error:  # of the functions that calculate with floats
        raise ValueError(f"{name}: {error}.") from None


def _power(base: Decimal, exponent: Decimal) -> Decimal:
    if base < 0 and exponent != exponent.to_integral_value():
        raise decimal.InvalidOperation
    return base**exponent


def _floor_division(left: Decimal, right: Decimal) -> Decimal:
    return (left / right).to_integral_value(decimal.ROUND_FLOOR)


def _remainder(left: Decimal, right: Decimal) -> Decimal:
    """As in Python: with the sign of the divisor."""
    if not right:
        raise decimal.DivisionByZero
    try:
        rest = left % right
    except decimal.InvalidOperation:  # the quotient has more digits than are kept
        raise ValueError(f"{left:.3g} has too many digits for a remainder.") from None
    return rest + right if rest and (rest < 0) != (right < 0) else rest


def _round(number: Decimal, digits: Decimal = Decimal(0)) -> Decimal:
    last = -int(max(min(digits, Decimal(_DIGITS)), Decimal(-_DIGITS)))
    if number.adjusted() - last > _DIGITS:  # it has no digits there
        return number
    return number.quantize(Decimal(1).scaleb(last))


def _factorial(number: Decimal) -> Decimal:
    if number != number.to_integral_value() or not 0 <= number <= 400:
        raise ValueError("a whole number from 0 to 400 is wanted")
    return +Decimal(math.factorial(int(number)))


def _by_float(function: Callable[[float], float]) -> Callable[[Decimal], Decimal]:
    def calculated(number: Decimal) -> Decimal:
        # 15 digits are right, more only look so.
        return Decimal(f"{function(float(number)):.15g}")

    return calculated


_CONSTANTS = {"pi": "3.14159265358979323846264338327950288", "e": "2.71828182845904523536028747135266250"}
_OPERATIONS: dict[type[ast.operator], Callable[[Decimal, Decimal], Decimal]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: _floor_division,
    ast.Mod: _remainder,
    ast.Pow: _power,
}
_FUNCTIONS: dict[str, Callable[..., Decimal]] = {
    "abs": abs,
    "round": _round,
    "floor": lambda number: number.to_integral_value(decimal.ROUND_FLOOR),
    "ceil": lambda number: number.to_integral_value(decimal.ROUND_CEILING),
    "min": min,
    "max": max,
    "sqrt": lambda number: number.sqrt(),
    "exp": lambda number: number.exp(),
    "ln": lambda number: number.ln(),
    "log10": lambda number: number.log10(),
    "log": lambda number, base: number.ln() / base.ln(),
    "factorial": _factorial,
    **{
        name: _by_float(getattr(math, name))
        for name in ("sin", "cos", "tan", "asin", "acos", "atan", "degrees", "radians")
    },
}


def _written(number: Decimal) -> str:
    """The number as people write it, to 30 digits."""
    with decimal.localcontext(_CONTEXT) as context:
        context.prec = _DIGITS
        rounded = (+number).normalize()
    if rounded == 0:
        return "0"
    return f"{rounded:f}" if -_DIGITS <= rounded.adjusted() < _DIGITS else f"{rounded:E}"
