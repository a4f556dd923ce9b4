"""Loads and stores of numba kernels that tell LLVM which memory cannot overlap.

Numba knows of two arrays only that they might share memory, so LLVM checks every pair of rows before it enters a
vectorised loop, and every function that takes an array counts a reference to it. With twenty rows in a loop over sixty
channels both take longer than the arithmetic. Here kernels take plain pointers, each access names the role of its
memory, and accesses of different roles are promised never to meet.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

# What a kernel only reads, what it writes row by row, and what it sums up over rows; of the sums, any row or those
# whose number leaves the remainder 0, 1, 2 or 3 by 4.
INPUT, OUTPUT, SUMS, SUMS_0, SUMS_1, SUMS_2, SUMS_3 = range(7)
_PARTS = {INPUT: "i", OUTPUT: "o", SUMS: "0123", SUMS_0: "0", SUMS_1: "1", SUMS_2: "2", SUMS_3: "3"}

# For a type checker, which would count the context among the arguments of the caller.
compiled: Callable[[Any], Any] = intrinsic


@compiled
def pointer(typing_context, array, index):  # type: ignore[no-untyped-def]
    """Return the address of an element of a contiguous array, counted as if it were flat."""

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.gep(data, [args[1]])

    return types.CPointer(array.dtype)(array, types.intp), generate


@compiled
def load(typing_context, address, index, role):  # type: ignore[no-untyped-def]
    """Return address[index], where `role` is a constant."""
    if not isinstance(role, types.IntegerLiteral):
        return None

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        value = builder.load(builder.gep(args[0], [args[1]]))
        _promise(builder, value, signature.args[2].literal_value)
        return value

    return address.dtype(address, types.intp, role), generate


@compiled
def store(typing_context, address, index, role, value):  # type: ignore[no-untyped-def]
    """Set address[index] = value, where `role` is a constant."""
    if not isinstance(role, types.IntegerLiteral):
        return None

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        instruction = builder.store(args[3], builder.gep(args[0], [args[1]]))
        _promise(builder, instruction, signature.args[2].literal_value)
        return context.get_dummy_value()

    return types.void(address, types.intp, role, address.dtype), generate


def _promise(builder: ir.IRBuilder, instruction: Any, role: int) -> None:
    module = builder.module
    domain = module.add_metadata([ir.MetaDataString(module, "tsrec")])
    scopes = {part: module.add_metadata([ir.MetaDataString(module, f"tsrec {part}"), domain]) for part in "io0123"}
    instruction.set_metadata("alias.scope", module.add_metadata([scopes[part] for part in _PARTS[role]]))
    others = [scope for part, scope in scopes.items() if part not in _PARTS[role]]
    instruction.set_metadata("noalias", module.add_metadata(others))
