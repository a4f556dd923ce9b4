"""Short rows of channels whose loops compile to plain vector code.

LLVM guards a vectorised loop by comparing the addresses of its arrays. For a row of 32 channels these comparisons cost
as much as the work. They vanish where a row lies on the stack, which nothing else can point to, or where the rows of a
loop are views of one array at constant distances.
"""

from typing import Any

from llvmlite import ir
from numba import carray, types
from numba.core import cgutils
from numba.extending import register_jitable

from tsrec.kernels._numba_pointers import compiled, pointer


def rows_on_stack(width: int) -> Any:
    """Make a function for compiled code: row(like), a row on the stack with elements of the type of `like`, not set."""

    def memory(typing_context, like):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
            element = context.get_value_type(like)
            row = cgutils.alloca_once(builder, ir.ArrayType(element, width))
            row.align = 64
            return builder.bitcast(row, element.as_pointer())

        return types.CPointer(like)(like), generate

    new = compiled(memory)

    def row(like):  # type: ignore[no-untyped-def]
        return carray(new(like), (width,))

    return register_jitable(row)


def rows_of_arrays(width: int) -> Any:
    """Make a function for compiled code: view(array, start), `width` elements of a contiguous array from `start` on.

    The view does not keep the array alive; its caller must.
    """

    def view(array, start):  # type: ignore[no-untyped-def]
        return carray(pointer(array, start), (width,))

    return register_jitable(view)
