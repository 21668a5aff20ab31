"""Named context: what is known about a sequence, as fields that are encoded as one vector."""

from .context import Context
from .field import Field
from .image import Image
from .label import Label
from .quantity import Quantity
from .summary import Summary
from .vector import Element, Vector, Window

__all__ = ["Context", "Element", "Field", "Image", "Label", "Quantity", "Summary", "Vector", "Window"]
