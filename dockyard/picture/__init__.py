"""A lab's hosts as a picture, and in words: `draw(look(lab))`."""

from dockyard.picture.drawing import as_image, draw
from dockyard.picture.looking import look
from dockyard.picture.words import describe

__all__ = ["as_image", "describe", "draw", "look"]
