"""The vocabulary of all readers: typed functions that add operators to a graph, and return the names of the results.

Each function takes the graph first, then its operands and settings. An operand is the name of a tensor, a number, or a
list of whole numbers. A setting that is left out has the default of the operator. Readers import the package as `ops`;
each of its modules has a family of functions.
"""

from mpscnn.converters.reading.vocabulary.adding import Binary as Binary
from mpscnn.converters.reading.vocabulary.adding import Unary as Unary
from mpscnn.converters.reading.vocabulary.adding import added_by as added_by
from mpscnn.converters.reading.vocabulary.adding import again as again
from mpscnn.converters.reading.vocabulary.adding import matches as matches
from mpscnn.converters.reading.vocabulary.along_axes import *  # noqa: F403
from mpscnn.converters.reading.vocabulary.arrays import *  # noqa: F403
from mpscnn.converters.reading.vocabulary.elementwise import *  # noqa: F403
from mpscnn.converters.reading.vocabulary.matrices import *  # noqa: F403
from mpscnn.converters.reading.vocabulary.normalizations import *  # noqa: F403
from mpscnn.converters.reading.vocabulary.operands import axis_of_filters as axis_of_filters
from mpscnn.converters.reading.vocabulary.operands import have_one_type as have_one_type
from mpscnn.converters.reading.vocabulary.recurrent import *  # noqa: F403
from mpscnn.converters.reading.vocabulary.windows import *  # noqa: F403
